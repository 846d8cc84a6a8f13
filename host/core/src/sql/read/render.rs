//! The canonical text of a read statement: what is sent, and what people are shown.
//!
//! One tree has one text. Every operand that is not a single value stands in parentheses, so that
//! precedence cannot change what it means; relations carry their schema; outputs are grouped and sorted
//! by number; columns of functions are named. A bind parameter is `$1`, `$2` …

use std::fmt;

use super::tree::{
    Arguments, Body, Call, Expr, Factor, Function, Item, JoinKind, Joined, Key, Many, Operation, Order, Place, Query,
    Select, SetOperation, Source, Test, Type,
};
use crate::sql::Bind;
use crate::sql::text::SqlText;

/// Renders a query as it is sent.
pub(super) fn render(query: &Query) -> SqlText {
    let mut renderer = Renderer { names: None, text: SqlText::default(), depth: 0 };
    renderer.query(query);
    renderer.text
}

/// Renders a query as it is shown to people: with the names of bind parameters.
pub(super) fn render_with_names(query: &Query, binds: &[Bind]) -> String {
    let mut renderer = Renderer { names: Some(binds), text: SqlText::default(), depth: 0 };
    renderer.query(query);
    renderer.text.to_string()
}

struct Renderer<'b> {
    /// The bind parameters, where their names are shown in the place of their numbers.
    names: Option<&'b [Bind]>,
    text: SqlText,
    /// How many queries are open.
    depth: usize,
}

impl Renderer<'_> {
    fn put(&mut self, text: &str) {
        self.text.push(text);
    }

    fn show(&mut self, value: impl fmt::Display) {
        self.text.push(&value.to_string());
    }

    /// Begins a clause on a line of its own.
    fn clause(&mut self, words: &str) {
        self.put("\n");
        self.put(&"  ".repeat(self.depth));
        self.put(words);
    }

    fn separated<T>(&mut self, all: &[T], separator: &str, mut each: impl FnMut(&mut Self, &T)) {
        for (index, one) in all.iter().enumerate() {
            if index > 0 {
                self.put(separator);
            }
            each(self, one);
        }
    }

    fn query(&mut self, query: &Query) {
        if !query.with.is_empty() {
            self.put("with ");
            self.separated(&query.with, ", ", |renderer, (name, query)| {
                renderer.show(format_args!("{name} as "));
                renderer.nested(query);
            });
            self.clause("");
        }
        self.body(&query.body);
        if !query.order.is_empty() {
            self.clause("order by ");
            self.separated(&query.order, ", ", Self::order);
        }
        if let Some(limit) = &query.limit {
            self.clause("limit ");
            self.operand(limit);
        }
        if let Some(offset) = &query.offset {
            self.clause("offset ");
            self.operand(offset);
        }
    }

    /// A query in parentheses.
    fn nested(&mut self, query: &Query) {
        self.put("(");
        self.depth += 1;
        self.query(query);
        self.depth -= 1;
        self.put(")");
    }

    fn body(&mut self, body: &Body) {
        match body {
            Body::Select(select) => self.select(select),
            Body::Query(query) => self.nested(query),
            Body::Set { operation, all, left, right } => {
                self.side(left);
                self.clause(match operation {
                    SetOperation::Union => "union ",
                    SetOperation::Intersect => "intersect ",
                    SetOperation::Except => "except ",
                });
                if *all {
                    self.put("all ");
                }
                self.side(right);
            }
        }
    }

    /// One side of a set operation.
    fn side(&mut self, body: &Body) {
        if matches!(body, Body::Set { .. }) {
            self.put("(");
            self.depth += 1;
            self.body(body);
            self.depth -= 1;
            self.put(")");
        } else {
            self.body(body);
        }
    }

    fn select(&mut self, select: &Select) {
        self.put(if select.distinct { "select distinct " } else { "select " });
        self.separated(&select.items, ", ", Self::item);
        if !select.from.is_empty() {
            self.clause("from ");
            self.separated(&select.from, ", ", Self::joined);
        }
        if let Some(filter) = &select.filter {
            self.clause("where ");
            self.value(filter);
        }
        if !select.group.is_empty() {
            self.clause("group by ");
            self.separated(&select.group, ", ", Self::key);
        }
        if let Some(having) = &select.having {
            self.clause("having ");
            self.value(having);
        }
    }

    fn item(&mut self, item: &Item) {
        self.value(&item.value);
        let is_said = matches!((&item.value, &item.name), (Expr::Column(_, column), Some(name)) if column == name);
        if let (Some(name), false) = (&item.name, is_said) {
            self.show(format_args!(" as {name}"));
        }
    }

    fn joined(&mut self, joined: &Joined) {
        self.factor(&joined.first);
        for join in &joined.joins {
            self.clause(match join.kind {
                JoinKind::Inner => "join ",
                JoinKind::Left => "left join ",
                JoinKind::Right => "right join ",
                JoinKind::Full => "full join ",
                JoinKind::Cross => "cross join ",
            });
            self.factor(&join.factor);
            if let Some(on) = &join.on {
                self.put(" on ");
                self.value(on);
            }
        }
    }

    fn factor(&mut self, factor: &Factor) {
        match &factor.source {
            Source::Relation(schema, name) => self.show(format_args!("{schema}.{name}")),
            Source::Common(name) => self.show(name),
            Source::Function { call, ordinality } => {
                self.call(call);
                if *ordinality {
                    self.put(" with ordinality");
                }
            }
            Source::Query { query, lateral } => {
                if *lateral {
                    self.put("lateral ");
                }
                self.nested(query);
            }
        }
        self.show(format_args!(" as {}", factor.alias));
        if !factor.columns.is_empty() {
            self.put(" (");
            self.separated(&factor.columns, ", ", |renderer, column| renderer.show(column));
            self.put(")");
        }
    }

    fn order(&mut self, order: &Order) {
        self.key(&order.key);
        if order.descending {
            self.put(" desc");
        }
        match order.nulls_first {
            Some(true) => self.put(" nulls first"),
            Some(false) => self.put(" nulls last"),
            None => {}
        }
    }

    fn key(&mut self, key: &Key) {
        match key {
            Key::Output(number) => self.show(number),
            Key::Value(value) => self.operand(value),
        }
    }

    /// A value beside an operator: in parentheses unless nothing could take a part of it.
    fn operand(&mut self, value: &Expr) {
        let is_negative = matches!(value, Expr::Integer(digits) | Expr::Decimal(digits) if digits.starts_with('-'));
        if is_negative || matches!(value, Expr::Operation(_)) { self.parenthesized(value) } else { self.value(value) }
    }

    fn parenthesized(&mut self, value: &Expr) {
        self.put("(");
        self.value(value);
        self.put(")");
    }

    fn value(&mut self, value: &Expr) {
        match value {
            Expr::Null => self.put("null"),
            Expr::Boolean(flag) => self.show(flag),
            Expr::Integer(digits) | Expr::Decimal(digits) => self.put(digits),
            Expr::Text(text) => self.show(format_args!("'{}'", text.replace('\'', "''"))),
            Expr::Bind(index) => match self.names.and_then(|binds| binds.get(*index)) {
                Some(bind) => self.show(format_args!("${}", bind.name)),
                None => self.show(format_args!("${}", index + 1)),
            },
            Expr::Column(alias, column) => self.show(format_args!("{alias}.{column}")),
            Expr::Session(session) => self.put(session.sql()),
            Expr::Call(call) => self.call(call),
            Expr::Extract(field, value) => {
                self.show(format_args!("extract({} from ", field.sql()));
                self.value(value);
                self.put(")");
            }
            Expr::Exists(query) => {
                self.put("exists ");
                self.nested(query);
            }
            Expr::Scalar(query) => self.nested(query),
            Expr::Row(values) => self.list(values),
            Expr::Array(values) => {
                self.put("array[");
                self.separated(values, ", ", Self::value);
                self.put("]");
            }
            Expr::ArrayQuery(query) => {
                self.put("array");
                self.nested(query);
            }
            Expr::Case { operand, whens, otherwise } => self.case(operand.as_deref(), whens, otherwise.as_deref()),
            Expr::Cast(value, kind) => self.cast(value, *kind),
            Expr::Element(array, at) => {
                self.indexed(array);
                self.put("[");
                self.value(at);
                self.put("]");
            }
            Expr::Slice(array, from, to) => self.slice(array, from.as_deref(), to.as_deref()),
            Expr::Operation(operation) => self.operation(operation),
        }
    }

    fn operation(&mut self, operation: &Operation) {
        match operation {
            Operation::Minus(value) => {
                self.put("- ");
                self.operand(value);
            }
            Operation::Not(value) => {
                self.put("not ");
                self.operand(value);
            }
            Operation::And(all) => self.separated(all, " and ", Self::operand),
            Operation::Or(all) => self.separated(all, " or ", Self::operand),
            Operation::Binary(operator, left, right) => {
                self.operand(left);
                self.show(format_args!(" {} ", operator.sql()));
                self.operand(right);
            }
            Operation::Quantified { operator, all, left, right } => {
                self.operand(left);
                self.show(format_args!(" {} {} ", operator.sql(), if *all { "all" } else { "any" }));
                match right {
                    Many::Array(array) => self.parenthesized(array),
                    Many::Query(query) => self.nested(query),
                }
            }
            Operation::Is { value, test, negated } => {
                self.operand(value);
                self.put(if *negated { " is not " } else { " is " });
                self.put(match test {
                    Test::Null => "null",
                    Test::True => "true",
                    Test::False => "false",
                });
            }
            Operation::Distinct { left, right, negated } => {
                self.operand(left);
                self.put(if *negated { " is not distinct from " } else { " is distinct from " });
                self.operand(right);
            }
            Operation::Like { value, pattern, any_case, negated } => {
                self.operand(value);
                self.negation(*negated);
                self.put(if *any_case { " ilike " } else { " like " });
                self.operand(pattern);
            }
            Operation::Between { value, low, high, negated } => {
                self.operand(value);
                self.negation(*negated);
                self.put(" between ");
                self.operand(low);
                self.put(" and ");
                self.operand(high);
            }
            Operation::In { value, list, negated } => {
                self.operand(value);
                self.negation(*negated);
                self.put(" in ");
                self.list(list);
            }
            Operation::InQuery { value, query, negated } => {
                self.operand(value);
                self.negation(*negated);
                self.put(" in ");
                self.nested(query);
            }
        }
    }

    fn negation(&mut self, negated: bool) {
        if negated {
            self.put(" not");
        }
    }

    fn list(&mut self, values: &[Expr]) {
        self.put("(");
        self.separated(values, ", ", Self::value);
        self.put(")");
    }

    fn case(&mut self, operand: Option<&Expr>, whens: &[(Expr, Expr)], otherwise: Option<&Expr>) {
        self.put("case ");
        if let Some(operand) = operand {
            self.operand(operand);
            self.put(" ");
        }
        for (when, then) in whens {
            self.put("when ");
            self.value(when);
            self.put(" then ");
            self.value(then);
            self.put(" ");
        }
        if let Some(otherwise) = otherwise {
            self.put("else ");
            self.value(otherwise);
            self.put(" ");
        }
        self.put("end");
    }

    fn cast(&mut self, value: &Expr, kind: Type) {
        self.operand(value);
        self.put("::");
        self.put(kind.base.sql());
        if kind.is_array {
            self.put("[]");
        }
    }

    /// An array of which elements are chosen.
    fn indexed(&mut self, array: &Expr) {
        match array {
            Expr::Column(..) | Expr::Element(..) | Expr::Slice(..) => self.value(array),
            other => self.parenthesized(other),
        }
    }

    fn slice(&mut self, array: &Expr, from: Option<&Expr>, to: Option<&Expr>) {
        self.indexed(array);
        self.put("[");
        from.into_iter().for_each(|from| self.operand(from));
        self.put(":");
        to.into_iter().for_each(|to| self.operand(to));
        self.put("]");
    }

    fn call(&mut self, call: &Call) {
        match &call.function.place {
            Some(Place::Extension(extension)) => {
                self.text.push_extension(extension);
                self.show(format_args!(".{}", call.function.name));
            }
            _ => self.show(&call.function),
        }
        self.put("(");
        match &call.arguments {
            Arguments::Star => self.put("*"),
            Arguments::List { distinct, values } => {
                if *distinct {
                    self.put("distinct ");
                }
                self.separated(values, ", ", Self::value);
            }
        }
        if !call.order.is_empty() {
            self.put(" order by ");
            self.separated(&call.order, ", ", Self::order);
        }
        self.put(")");
        if let Some(filter) = &call.filter {
            self.put(" filter (where ");
            self.value(filter);
            self.put(")");
        }
    }
}

/// As SQL, with the extension's name where its schema will be. The functions `left` and `right` and the
/// forms of the grammar are keywords that stand without quotes.
impl fmt::Display for Function {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Some(Place::Schema(place) | Place::Extension(place)) => write!(out, "{place}.{}", self.name),
            None if matches!(self.name.as_str(), "coalesce" | "greatest" | "least" | "left" | "nullif" | "right") => {
                out.write_str(self.name.as_str())
            }
            None => write!(out, "{}", self.name),
        }
    }
}
