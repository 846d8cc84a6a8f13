//! Values: precedence climbing.

use super::Parser;
use crate::sql::identifier::Identifier;
use crate::sql::position::SqlError;
use crate::sql::read::tree::{
    Arguments, BaseType, Call, DateField, Expr, Function, Many, Operation, Operator, Place, SessionValue, Test, Type,
};
use crate::sql::token::Token;

/// How strongly operators bind: those of PostgreSQL (manual, section 4.1.6).
mod level {
    pub(super) const OR: u8 = 1;
    pub(super) const AND: u8 = 2;
    pub(super) const NOT: u8 = 3;
    pub(super) const IS: u8 = 4;
    pub(super) const COMPARISON: u8 = 5;
    pub(super) const PATTERN: u8 = 6;
    pub(super) const OTHER: u8 = 7;
    pub(super) const SUM: u8 = 8;
    pub(super) const PRODUCT: u8 = 9;
    pub(super) const SIGN: u8 = 10;
}

impl Operator {
    fn level(self) -> u8 {
        match self {
            Self::Equal | Self::NotEqual | Self::Less | Self::Greater | Self::LessOrEqual | Self::GreaterOrEqual => {
                level::COMPARISON
            }
            Self::Plus | Self::Minus => level::SUM,
            Self::Times | Self::Divide | Self::Modulo => level::PRODUCT,
            Self::Concat
            | Self::Matches
            | Self::MatchesAnyCase
            | Self::MatchesNot
            | Self::MatchesNotAnyCase
            | Self::Field
            | Self::FieldText
            | Self::Contains
            | Self::Overlaps => level::OTHER,
        }
    }

    fn of_token(text: &str) -> Option<Self> {
        Self::of(if text == "!=" { "<>" } else { text })
    }
}

impl Parser<'_> {
    /// A whole value.
    pub(super) fn value(&mut self) -> Result<Expr, SqlError> {
        let at = self.cursor.at();
        let value = self.expression(level::OR)?;
        if matches!(value, Expr::Row(_)) {
            return Err(self.cursor.error(at, "a row in parentheses is only compared, or asked for with IN"));
        }
        Ok(value)
    }

    /// A value whose operators bind at least as strongly as `least`.
    fn expression(&mut self, least: u8) -> Result<Expr, SqlError> {
        self.nested(|parser| {
            let mut left = parser.prefix(least)?;
            // Comparisons and their like do not chain: `a = b = c` is an error for the server, too.
            let mut most = u8::MAX;
            while let Some(found) = parser.infix_level() {
                if found < least {
                    break;
                }
                if found > most {
                    return Err(parser.cursor.expected("parentheses, or the end of the value,"));
                }
                if matches!(left, Expr::Row(_)) && !matches!(found, level::COMPARISON | level::PATTERN) {
                    return Err(parser.cursor.expected("a comparison behind a row"));
                }
                parser.link()?;
                left = parser.infix(left, found)?;
                most = match found {
                    level::IS | level::COMPARISON | level::PATTERN => found - 1,
                    _ => found,
                };
            }
            Ok(left)
        })
    }

    /// The level of the operator that is next; none where none is.
    fn infix_level(&self) -> Option<u8> {
        match self.cursor.peek(0) {
            Token::Operator(text) => Operator::of_token(text).map(Operator::level),
            Token::Word(word) => match word.as_str() {
                "or" => Some(level::OR),
                "and" => Some(level::AND),
                "is" => Some(level::IS),
                "like" | "ilike" | "in" | "between" => Some(level::PATTERN),
                "not" if ["like", "ilike", "in", "between"].iter().any(|word| self.cursor.is_word_ahead(1, word)) => {
                    Some(level::PATTERN)
                }
                _ => None,
            },
            _ => None,
        }
    }

    fn infix(&mut self, left: Expr, found: u8) -> Result<Expr, SqlError> {
        match found {
            level::OR | level::AND => self.connective(left, found),
            level::IS => self.is(left),
            level::PATTERN => self.pattern(left),
            _ => self.binary(left, found),
        }
    }

    /// `AND` and `OR`, of which several of one kind are one list, as the server has them.
    fn connective(&mut self, left: Expr, found: u8) -> Result<Expr, SqlError> {
        self.cursor.take();
        let right = self.operand(found + 1)?;
        Ok(operation(match left {
            Expr::Operation(inner) => match (*inner, found) {
                (Operation::Or(mut all), level::OR) => {
                    all.push(right);
                    Operation::Or(all)
                }
                (Operation::And(mut all), level::AND) => {
                    all.push(right);
                    Operation::And(all)
                }
                (other, level::OR) => Operation::Or(vec![operation(other), right]),
                (other, _) => Operation::And(vec![operation(other), right]),
            },
            first if found == level::OR => Operation::Or(vec![first, right]),
            first => Operation::And(vec![first, right]),
        }))
    }

    /// A value that is no row.
    fn operand(&mut self, least: u8) -> Result<Expr, SqlError> {
        let at = self.cursor.at();
        match self.expression(least)? {
            Expr::Row(_) => Err(self.cursor.error(at, "a row in parentheses is only compared, or asked for with IN")),
            other => Ok(other),
        }
    }

    fn binary(&mut self, left: Expr, found: u8) -> Result<Expr, SqlError> {
        let at = self.cursor.at();
        let Token::Operator(text) = self.cursor.take() else { return Err(self.cursor.expected("an operator")) };
        let operator = Operator::of_token(text).ok_or_else(|| self.cursor.error(at, "unknown operator"))?;
        for word in ["any", "all"] {
            if self.cursor.is_word(word) && self.cursor.is_mark_ahead(1, "(") {
                self.cursor.take();
                self.cursor.take();
                let right = if self.begins_query() { Many::Query(self.query()?) } else { Many::Array(self.value()?) };
                self.cursor.mark(")")?;
                return Ok(operation(Operation::Quantified { operator, all: word == "all", left, right }));
            }
        }
        if found != level::COMPARISON {
            return Ok(operation(Operation::Binary(operator, left, self.operand(found + 1)?)));
        }
        let right = self.expression(found + 1)?;
        match (&left, &right) {
            (Expr::Row(one), Expr::Row(other)) if one.len() == other.len() => {}
            (Expr::Row(_), _) | (_, Expr::Row(_)) => {
                return Err(self.cursor.error(at, "a row is compared with a row of the same length"));
            }
            _ => {}
        }
        Ok(operation(Operation::Binary(operator, left, right)))
    }

    /// `IS [NOT] NULL`, `TRUE`, `FALSE`, `DISTINCT FROM`.
    fn is(&mut self, left: Expr) -> Result<Expr, SqlError> {
        self.cursor.word("is")?;
        let negated = self.cursor.takes_word("not");
        if self.cursor.takes_words(&["distinct", "from"]) {
            let right = self.operand(level::COMPARISON)?;
            return Ok(operation(Operation::Distinct { left, right, negated }));
        }
        let tests = [("null", Test::Null), ("true", Test::True), ("false", Test::False)];
        match tests.into_iter().find(|(word, _)| self.cursor.takes_word(word)) {
            Some((_, test)) => Ok(operation(Operation::Is { value: left, test, negated })),
            None => Err(self.cursor.expected("NULL, TRUE, FALSE or DISTINCT FROM")),
        }
    }

    /// `[NOT] LIKE`, `ILIKE`, `BETWEEN`, `IN`.
    fn pattern(&mut self, left: Expr) -> Result<Expr, SqlError> {
        let negated = self.cursor.takes_word("not");
        if self.cursor.takes_word("in") {
            return self.membership(left, negated);
        }
        if matches!(left, Expr::Row(_)) {
            return Err(self.cursor.expected("a comparison or IN behind a row"));
        }
        let value = left;
        if self.cursor.takes_word("between") {
            let low = self.operand(level::OTHER)?;
            self.cursor.word("and")?;
            let high = self.operand(level::OTHER)?;
            return Ok(operation(Operation::Between { value, low, high, negated }));
        }
        let any_case = self.cursor.takes_word("ilike");
        if !any_case {
            self.cursor.word("like")?;
        }
        let pattern = self.operand(level::OTHER)?;
        Ok(operation(Operation::Like { value, pattern, any_case, negated }))
    }

    fn membership(&mut self, left: Expr, negated: bool) -> Result<Expr, SqlError> {
        self.cursor.mark("(")?;
        let value = left;
        if self.begins_query() {
            let query = self.query()?;
            self.cursor.mark(")")?;
            return Ok(operation(Operation::InQuery { value, query, negated }));
        }
        let at = self.cursor.at();
        let width = |expr: &Expr| if let Expr::Row(all) = expr { all.len() } else { 1 };
        let list = self.list(|parser| parser.expression(level::OR))?;
        if list.iter().any(|item| width(item) != width(&value)) {
            return Err(self.cursor.error(at, "each value of IN has as many parts as the value before it"));
        }
        self.cursor.mark(")")?;
        Ok(operation(Operation::In { value, list, negated }))
    }

    fn prefix(&mut self, least: u8) -> Result<Expr, SqlError> {
        if self.cursor.is_word("not") {
            if least > level::NOT {
                return Err(self.cursor.expected("parentheses around NOT"));
            }
            self.cursor.take();
            return Ok(operation(Operation::Not(self.operand(level::NOT)?)));
        }
        if matches!(self.cursor.peek(0), Token::Operator("-")) {
            self.cursor.take();
            return Ok(match self.operand(level::SIGN)? {
                Expr::Integer(digits) if digits == "0" => Expr::Integer(digits),
                Expr::Integer(digits) => Expr::Integer(negative(&digits)),
                Expr::Decimal(digits) => Expr::Decimal(negative(&digits)),
                other => operation(Operation::Minus(other)),
            });
        }
        let (mut value, takes_index) = self.primary()?;
        while takes_index && self.cursor.takes_mark("[") {
            self.link()?;
            value = self.index(value)?;
        }
        while self.cursor.takes_mark("::") {
            self.link()?;
            if matches!(value, Expr::Row(_)) {
                return Err(self.cursor.expected("a comparison behind a row"));
            }
            value = Expr::Cast(Box::new(value), self.type_name()?);
        }
        Ok(value)
    }

    /// What stands in brackets: an element, or a slice.
    fn index(&mut self, array: Expr) -> Result<Expr, SqlError> {
        let array = Box::new(array);
        let ends = |parser: &Self| parser.cursor.is_mark(":") || parser.cursor.is_mark("]");
        let from = if ends(self) { None } else { Some(Box::new(self.value()?)) };
        if !self.cursor.takes_mark(":") {
            self.cursor.mark("]")?;
            return from.map(|at| Expr::Element(array, at)).ok_or_else(|| self.cursor.expected("an index"));
        }
        let to = if ends(self) { None } else { Some(Box::new(self.value()?)) };
        self.cursor.mark("]")?;
        Ok(Expr::Slice(array, from, to))
    }

    /// A value without operators, and whether brackets behind it choose elements of it.
    fn primary(&mut self) -> Result<(Expr, bool), SqlError> {
        let at = self.cursor.at();
        match self.cursor.peek(0).clone() {
            Token::Integer(digits) => {
                self.cursor.take();
                Ok((Expr::Integer(digits), false))
            }
            Token::Decimal(digits) => {
                self.cursor.take();
                Ok((Expr::Decimal(digits), false))
            }
            Token::Text(text) => {
                self.cursor.take();
                Ok((Expr::Text(text), false))
            }
            Token::Bind(name) => {
                self.cursor.take();
                let (index, kind) = self.bind(&name, at)?;
                Ok((Expr::Cast(Box::new(Expr::Bind(index)), kind.type_name()), false))
            }
            Token::Mark("(") => self.parenthesis(),
            Token::Placeholder(_) => Err(self.cursor.error(
                at,
                "a read statement takes values as bind parameters alone: write $name::type, such as $after::bigint",
            )),
            Token::Word(word) => match self.keyword(&word)? {
                Some(value) => Ok((value, false)),
                None => self.named(),
            },
            Token::Quoted(_) => self.named(),
            _ => Err(self.cursor.expected("a value")),
        }
    }

    fn parenthesis(&mut self) -> Result<(Expr, bool), SqlError> {
        self.cursor.mark("(")?;
        if self.begins_query() {
            let query = self.query()?;
            self.cursor.mark(")")?;
            return Ok((Expr::Scalar(Box::new(query)), true));
        }
        let first = self.value()?;
        if !self.cursor.is_mark(",") {
            self.cursor.mark(")")?;
            return Ok((first, true));
        }
        let mut row = vec![first];
        while self.cursor.takes_mark(",") {
            row.push(self.value()?);
        }
        self.cursor.mark(")")?;
        Ok((Expr::Row(row), false))
    }

    pub(super) fn begins_query(&self) -> bool {
        self.cursor.is_word("select") || self.cursor.is_word("with")
    }

    /// A value that begins with a keyword; none where the word is none of them.
    fn keyword(&mut self, word: &str) -> Result<Option<Expr>, SqlError> {
        let constant = match word {
            "null" => Some(Expr::Null),
            "true" => Some(Expr::Boolean(true)),
            "false" => Some(Expr::Boolean(false)),
            word => SessionValue::of(word).map(Expr::Session),
        };
        if let Some(constant) = constant {
            self.cursor.take();
            return Ok(Some(constant));
        }
        match word {
            "case" => self.case().map(Some),
            "exists" => {
                self.cursor.take();
                self.cursor.mark("(")?;
                let query = self.query()?;
                self.cursor.mark(")")?;
                Ok(Some(Expr::Exists(Box::new(query))))
            }
            "array" => self.array().map(Some),
            "cast" => {
                self.cursor.take();
                self.cursor.mark("(")?;
                let value = self.value()?;
                self.cursor.word("as")?;
                let kind = self.type_name()?;
                self.cursor.mark(")")?;
                Ok(Some(Expr::Cast(Box::new(value), kind)))
            }
            "extract" if self.cursor.is_mark_ahead(1, "(") => self.extract().map(Some),
            "coalesce" | "greatest" | "least" | "nullif" => {
                let at = self.cursor.at();
                self.cursor.take();
                self.cursor.mark("(")?;
                self.call(None, Identifier::new(word), at).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn case(&mut self) -> Result<Expr, SqlError> {
        self.cursor.word("case")?;
        let operand = if self.cursor.is_word("when") { None } else { Some(Box::new(self.value()?)) };
        let mut whens = Vec::new();
        while self.cursor.takes_word("when") {
            let when = self.value()?;
            self.cursor.word("then")?;
            whens.push((when, self.value()?));
        }
        if whens.is_empty() {
            return Err(self.cursor.expected("`WHEN`"));
        }
        let otherwise = if self.cursor.takes_word("else") { Some(Box::new(self.value()?)) } else { None };
        self.cursor.word("end")?;
        Ok(Expr::Case { operand, whens, otherwise })
    }

    fn array(&mut self) -> Result<Expr, SqlError> {
        self.cursor.word("array")?;
        if self.cursor.takes_mark("(") {
            let query = self.query()?;
            self.cursor.mark(")")?;
            return Ok(Expr::ArrayQuery(Box::new(query)));
        }
        self.cursor.mark("[")?;
        let values = if self.cursor.is_mark("]") { Vec::new() } else { self.list(Self::value)? };
        self.cursor.mark("]")?;
        Ok(Expr::Array(values))
    }

    fn extract(&mut self) -> Result<Expr, SqlError> {
        self.cursor.word("extract")?;
        self.cursor.mark("(")?;
        let field = match self.cursor.peek(0) {
            Token::Word(word) => DateField::of(word),
            _ => None,
        };
        let Some(field) = field else { return Err(self.cursor.expected("a field, such as EPOCH")) };
        self.cursor.take();
        self.cursor.word("from")?;
        let value = self.value()?;
        self.cursor.mark(")")?;
        Ok(Expr::Extract(field, Box::new(value)))
    }

    /// `alias.column`, `function(…)` or `schema.function(…)`.
    fn named(&mut self) -> Result<(Expr, bool), SqlError> {
        let at = self.cursor.at();
        let function = self.function_name()?;
        if self.cursor.takes_mark("(") {
            let (place, name) = function;
            return Ok((self.call(place, name, at)?, false));
        }
        let (Some(alias), column) = function else {
            return Err(self.cursor.error(at, "a column is written as alias.column"));
        };
        if self.cursor.is_mark(".") {
            return Err(self.cursor.expected("the end of the name: a column is alias.column"));
        }
        self.places.push((format!("{alias}.{column}"), at));
        Ok((Expr::Column(alias, column), true))
    }

    /// One or two identifiers with a dot between them. In front of a parenthesis, `left` and `right` are functions.
    pub(super) fn function_name(&mut self) -> Result<(Option<Identifier>, Identifier), SqlError> {
        for word in ["left", "right"] {
            if self.cursor.is_word(word) && self.cursor.is_mark_ahead(1, "(") {
                self.cursor.take();
                return Ok((None, Identifier::new(word)));
            }
        }
        let first = self.cursor.identifier("a value")?;
        if !self.cursor.takes_mark(".") {
            return Ok((None, first));
        }
        let second = self.cursor.identifier("the name of a column or function")?;
        Ok((Some(first), second))
    }

    /// The arguments of a call, behind the opening parenthesis.
    pub(super) fn call(&mut self, place: Option<Identifier>, name: Identifier, at: usize) -> Result<Expr, SqlError> {
        self.call_of(place, name, at).map(|call| Expr::Call(Box::new(call)))
    }

    pub(super) fn call_of(&mut self, place: Option<Identifier>, name: Identifier, at: usize) -> Result<Call, SqlError> {
        let place = match place {
            Some(place) if place.as_str() == "pg_catalog" => None,
            Some(place) if crate::sql::postgresql::is_extension(place.as_str()) => Some(Place::Extension(place)),
            place => place.map(Place::Schema),
        };
        let function = Function { place, name };
        self.places.push((function.to_string(), at));
        let mut order = Vec::new();
        let arguments = if matches!(self.cursor.peek(0), Token::Operator("*")) {
            self.cursor.take();
            if function.place.is_some() || function.name.as_str() != "count" {
                return Err(self.cursor.error(at, "`*` stands in count(*) alone"));
            }
            Arguments::Star
        } else {
            let distinct = self.cursor.takes_word("distinct");
            let is_empty = self.cursor.is_mark(")") && !distinct;
            let values = if is_empty { Vec::new() } else { self.list(Self::value)? };
            if !is_empty && self.cursor.takes_words(&["order", "by"]) {
                order = self.list(|parser| parser.order(None))?;
            }
            Arguments::List { distinct, values }
        };
        self.cursor.mark(")")?;
        let filter = self.filter()?;
        if self.cursor.is_word("over") || self.cursor.is_word("within") {
            return Err(self.cursor.error(self.cursor.at(), "window functions and ordered sets are not accepted"));
        }
        let call = Call { function, arguments, order, filter };
        match is_special_form(&call) {
            Ok(()) => Ok(call),
            Err(reason) => Err(self.cursor.error(at, reason)),
        }
    }

    /// `FILTER (WHERE …)`.
    fn filter(&mut self) -> Result<Option<Expr>, SqlError> {
        if !(self.cursor.is_word("filter") && self.cursor.is_mark_ahead(1, "(")) {
            return Ok(None);
        }
        self.cursor.take();
        self.cursor.mark("(")?;
        self.cursor.word("where")?;
        let filter = self.value()?;
        self.cursor.mark(")")?;
        Ok(Some(filter))
    }

    /// The name of a type, with `[]` behind it for an array.
    pub(super) fn type_name(&mut self) -> Result<Type, SqlError> {
        let at = self.cursor.at();
        let base = match self.cursor.take() {
            Token::Quoted(name) if name == "char" => Some(BaseType::Char),
            Token::Word(word) => match word.as_str() {
                "int8" => Some(BaseType::Bigint),
                "int4" | "int" => Some(BaseType::Integer),
                "int2" => Some(BaseType::Smallint),
                "bool" => Some(BaseType::Boolean),
                "float8" => Some(BaseType::Double),
                "double" => self.cursor.takes_word("precision").then_some(BaseType::Double),
                word => BaseType::of(word),
            },
            _ => None,
        };
        let base = base.ok_or_else(|| {
            let known: Vec<&str> = BaseType::ALL.iter().map(|base| base.sql()).collect();
            self.cursor.error(at, format!("a value is cast to one of {}", known.join(", ")))
        })?;
        let is_array = self.cursor.is_mark("[") && self.cursor.is_mark_ahead(1, "]");
        if is_array {
            self.cursor.take();
            self.cursor.take();
        }
        if self.cursor.is_mark("[") || self.cursor.is_mark("(") {
            return Err(self.cursor.expected("the end of the type"));
        }
        Ok(Type { base, is_array })
    }
}

fn operation(operation: Operation) -> Expr {
    Expr::Operation(Box::new(operation))
}

fn negative(digits: &str) -> String {
    digits.strip_prefix('-').map_or_else(|| format!("-{digits}"), str::to_owned)
}

/// Refuses a form of the grammar that looks like a call with what only a call can have.
fn is_special_form(call: &Call) -> Result<(), String> {
    let name = call.function.name.as_str();
    let is_form = call.function.place.is_none() && matches!(name, "coalesce" | "greatest" | "least" | "nullif");
    if !is_form {
        return Ok(());
    }
    let count = match &call.arguments {
        Arguments::List { distinct: false, values } => values.len(),
        _ => 0,
    };
    let fits = if name == "nullif" { count == 2 } else { count > 0 };
    if fits && call.order.is_empty() && call.filter.is_none() {
        return Ok(());
    }
    Err(format!("{name} takes {} and nothing else", if name == "nullif" { "two values" } else { "one or more values" }))
}
