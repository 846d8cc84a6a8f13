//! PostgreSQL's own parser (libpg_query), as the second judge of read statements: its tree, lowered to
//! the tree of the gate.
//!
//! Lowering knows what the language of manifests has, and fails on everything else, so that a statement
//! which the gate lets through and this module does not understand is a find.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    self, AExpr, AExprKind, BoolExprType, BoolTestType, FuncCall, JoinType, MinMaxOp, Node, NullTestType,
    RangeFunction, SelectStmt, SortByDir, SortByNulls, SqlValueFunctionOp, SubLinkType, TypeName, a_const,
};
use raito_core::sql::identifier::Identifier;
use raito_core::sql::postgresql::{is_extension, row_columns};
use raito_core::sql::read::tree::{
    Arguments, BaseType, Body, Call, DateField, Expr, Factor, Function, Item, Join, JoinKind, Joined, Key, Many,
    Operation, Operator, Order, Place, Query, Select, SessionValue, SetOperation, Source, Test, Type,
};

type Lowered<T> = Result<T, String>;

/// The tree of a statement, as PostgreSQL reads it.
///
/// # Errors
/// A sentence where it is no statement, or one that the language does not have.
pub fn lowered(text: &str) -> Lowered<Query> {
    let parsed = pg_query::parse(text, 0).map_err(|error| error.to_string())?;
    let [statement] = parsed.protobuf.stmts.as_slice() else { return Err("not one statement".into()) };
    let node = statement.stmt.as_deref().and_then(|node| node.node.as_ref());
    match node {
        Some(NodeEnum::SelectStmt(select)) => Lowering { commons: Vec::new() }.query(select),
        _ => Err("not a SELECT".into()),
    }
}

struct Lowering {
    /// Queries of WITH that are visible.
    commons: Vec<String>,
}

fn identifier(text: &str) -> Identifier {
    Identifier::new(text)
}

fn node(node: &Node) -> Lowered<&NodeEnum> {
    node.node.as_ref().ok_or_else(|| "an empty node".into())
}

fn some(boxed: &Option<Box<Node>>) -> Lowered<&NodeEnum> {
    boxed.as_deref().ok_or_else(|| "a missing node".to_owned()).and_then(node)
}

fn string(one: &Node) -> Lowered<&str> {
    match node(one)? {
        NodeEnum::String(text) => Ok(&text.sval),
        _ => Err("no string".into()),
    }
}

fn strings(nodes: &[Node]) -> Lowered<Vec<&str>> {
    nodes.iter().map(string).collect()
}

fn expect(holds: bool, what: &str) -> Lowered<()> {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

impl Lowering {
    fn query(&mut self, select: &SelectStmt) -> Lowered<Query> {
        let visible = self.commons.len();
        let mut with = Vec::new();
        if let Some(clause) = &select.with_clause {
            expect(!clause.recursive, "recursive")?;
            for common in &clause.ctes {
                let NodeEnum::CommonTableExpr(common) = node(common)? else { return Err("a CTE".into()) };
                expect(common.aliascolnames.is_empty() && common.ctematerialized <= 1, "options of a CTE")?;
                let NodeEnum::SelectStmt(inner) = some(&common.ctequery)? else { return Err("a CTE".into()) };
                with.push((identifier(&common.ctename), self.query(inner)?));
                self.commons.push(common.ctename.clone());
            }
        }
        let body = self.body(select)?;
        let items = outputs(&body).to_vec();
        let order = select.sort_clause.iter().map(|sort| self.order(sort, Some(&items))).collect::<Lowered<_>>()?;
        let limit = select.limit_count.as_deref().map(|limit| self.value(node(limit)?)).transpose()?;
        let offset = select.limit_offset.as_deref().map(|offset| self.value(node(offset)?)).transpose()?;
        // 1 is LIMIT_OPTION_DEFAULT, 2 is LIMIT_OPTION_COUNT.
        expect(select.limit_option <= 2 && select.locking_clause.is_empty(), "options of a query")?;
        self.commons.truncate(visible);
        Ok(Query { with, body, order, limit, offset })
    }

    fn body(&mut self, select: &SelectStmt) -> Lowered<Body> {
        let operation = match protobuf::SetOperation::try_from(select.op).map_err(|error| error.to_string())? {
            protobuf::SetOperation::SetopNone | protobuf::SetOperation::Undefined => {
                return self.select(select).map(|select| Body::Select(Box::new(select)));
            }
            protobuf::SetOperation::SetopUnion => SetOperation::Union,
            protobuf::SetOperation::SetopIntersect => SetOperation::Intersect,
            protobuf::SetOperation::SetopExcept => SetOperation::Except,
        };
        let (Some(left), Some(right)) = (&select.larg, &select.rarg) else { return Err("one side".into()) };
        let (left, right) = (Box::new(self.side(left)?), Box::new(self.side(right)?));
        Ok(Body::Set { operation, all: select.all, left, right })
    }

    fn side(&mut self, select: &SelectStmt) -> Lowered<Body> {
        let query = self.query(select)?;
        let is_bare =
            query.with.is_empty() && query.order.is_empty() && query.limit.is_none() && query.offset.is_none();
        Ok(if is_bare { query.body } else { Body::Query(Box::new(query)) })
    }

    fn select(&mut self, select: &SelectStmt) -> Lowered<Select> {
        expect(
            select.into_clause.is_none()
                && select.window_clause.is_empty()
                && select.values_lists.is_empty()
                && !select.group_distinct,
            "a clause of SELECT",
        )?;
        let distinct = !select.distinct_clause.is_empty();
        expect(select.distinct_clause.iter().all(|on| on.node.is_none()), "DISTINCT ON")?;
        let items: Vec<Item> = select.target_list.iter().map(|target| self.item(target)).collect::<Lowered<_>>()?;
        let from = select.from_clause.iter().map(|from| self.joined(node(from)?)).collect::<Lowered<_>>()?;
        let filter = select.where_clause.as_deref().map(|filter| self.value(node(filter)?)).transpose()?;
        let group = select.group_clause.iter().map(|key| self.key(node(key)?, Some(&items))).collect::<Lowered<_>>()?;
        let having = select.having_clause.as_deref().map(|having| self.value(node(having)?)).transpose()?;
        Ok(Select { distinct, items, from, filter, group, having })
    }

    fn item(&mut self, target: &Node) -> Lowered<Item> {
        let NodeEnum::ResTarget(target) = node(target)? else { return Err("a target".into()) };
        expect(target.indirection.is_empty(), "an indirection")?;
        let value = self.value(some(&target.val)?)?;
        let named = (!target.name.is_empty()).then(|| identifier(&target.name));
        let name = named.or_else(|| match &value {
            Expr::Column(_, column) => Some(column.clone()),
            _ => None,
        });
        Ok(Item { value, name })
    }

    fn joined(&mut self, from: &NodeEnum) -> Lowered<Joined> {
        let NodeEnum::JoinExpr(join) = from else {
            return Ok(Joined { first: self.factor(from)?, joins: Vec::new() });
        };
        expect(!join.is_natural && join.using_clause.is_empty() && join.alias.is_none(), "options of a join")?;
        let mut joined = self.joined(some(&join.larg)?)?;
        let factor = self.factor(some(&join.rarg)?)?;
        let on = join.quals.as_deref().map(|on| self.value(node(on)?)).transpose()?;
        let kind = match JoinType::try_from(join.jointype).map_err(|error| error.to_string())? {
            JoinType::JoinInner if on.is_none() => JoinKind::Cross,
            JoinType::JoinInner => JoinKind::Inner,
            JoinType::JoinLeft => JoinKind::Left,
            JoinType::JoinRight => JoinKind::Right,
            JoinType::JoinFull => JoinKind::Full,
            other => return Err(format!("{other:?}")),
        };
        joined.joins.push(Join { kind, factor, on });
        Ok(joined)
    }

    fn factor(&mut self, from: &NodeEnum) -> Lowered<Factor> {
        match from {
            NodeEnum::RangeVar(relation) => {
                expect(relation.catalogname.is_empty() && relation.inh, "options of a relation")?;
                let name = identifier(&relation.relname);
                let alias = match &relation.alias {
                    Some(alias) if alias.colnames.is_empty() => identifier(&alias.aliasname),
                    Some(_) => return Err("column aliases of a relation".into()),
                    None => name.clone(),
                };
                let source = match relation.schemaname.as_str() {
                    "" if self.commons.contains(&relation.relname) => Source::Common(name),
                    "" => Source::Relation(identifier("pg_catalog"), name),
                    schema => Source::Relation(identifier(schema), name),
                };
                Ok(Factor { source, alias, columns: Vec::new() })
            }
            NodeEnum::RangeSubselect(range) => {
                let NodeEnum::SelectStmt(select) = some(&range.subquery)? else { return Err("a subquery".into()) };
                let alias = range.alias.as_ref().ok_or("no alias")?;
                expect(alias.colnames.is_empty(), "column aliases of a query")?;
                let query = Box::new(self.query(select)?);
                let source = Source::Query { query, lateral: range.lateral };
                Ok(Factor { source, alias: identifier(&alias.aliasname), columns: Vec::new() })
            }
            NodeEnum::RangeFunction(range) => self.function(range),
            other => Err(format!("a FROM item {}", kind(other))),
        }
    }

    fn function(&mut self, range: &RangeFunction) -> Lowered<Factor> {
        // LATERAL says nothing of a function: it sees the items before it anyway.
        expect(!range.is_rowsfrom && range.coldeflist.is_empty(), "options of a function")?;
        let [list] = range.functions.as_slice() else { return Err("several functions".into()) };
        let NodeEnum::List(list) = node(list)? else { return Err("a function".into()) };
        let Expr::Call(call) = self.value(node(list.items.first().ok_or("no function")?)?)? else {
            return Err("no call".into());
        };
        expect(list.items.iter().skip(1).all(|item| item.node.is_none()), "column definitions")?;
        let alias = range.alias.as_ref().ok_or("no alias")?;
        let mut columns: Vec<Identifier> = strings(&alias.colnames)?.into_iter().map(identifier).collect();
        if let (true, None, Some(known)) =
            (columns.is_empty(), &call.function.place, row_columns(call.function.name.as_str()))
        {
            columns = known.iter().map(|name| identifier(name)).collect();
            columns.extend(range.ordinality.then(|| identifier("ordinality")));
        }
        let source = Source::Function { call: *call, ordinality: range.ordinality };
        Ok(Factor { source, alias: identifier(&alias.aliasname), columns })
    }

    fn order(&mut self, sort: &Node, items: Option<&[Item]>) -> Lowered<Order> {
        let NodeEnum::SortBy(sort) = node(sort)? else { return Err("a sort key".into()) };
        expect(sort.use_op.is_empty(), "USING")?;
        let key = self.key(some(&sort.node)?, items)?;
        let descending = match SortByDir::try_from(sort.sortby_dir).map_err(|error| error.to_string())? {
            SortByDir::SortbyDefault | SortByDir::SortbyAsc => false,
            SortByDir::SortbyDesc => true,
            other => return Err(format!("{other:?}")),
        };
        let nulls_first = match SortByNulls::try_from(sort.sortby_nulls).map_err(|error| error.to_string())? {
            SortByNulls::SortbyNullsFirst => Some(true),
            SortByNulls::SortbyNullsLast => Some(false),
            _ => None,
        };
        Ok(Order { key, descending, nulls_first })
    }

    /// A sort or group key: a number and a name alone mean an output.
    fn key(&mut self, value: &NodeEnum, items: Option<&[Item]>) -> Lowered<Key> {
        let Some(items) = items else { return self.value(value).map(Key::Value) };
        match value {
            NodeEnum::AConst(constant) => match &constant.val {
                Some(a_const::Val::Ival(number)) => usize::try_from(number.ival)
                    .ok()
                    .filter(|number| (1..=items.len()).contains(number))
                    .map(Key::Output)
                    .ok_or_else(|| "no such output".into()),
                _ => self.value(value).map(Key::Value),
            },
            NodeEnum::ColumnRef(column) if column.fields.len() == 1 => {
                let name = identifier(string(&column.fields[0])?);
                let at = items.iter().position(|item| item.name.as_ref() == Some(&name));
                at.map(|at| Key::Output(at + 1)).ok_or_else(|| "no such output".into())
            }
            _ => self.value(value).map(Key::Value),
        }
    }

    fn values(&mut self, nodes: &[Node]) -> Lowered<Vec<Expr>> {
        nodes.iter().map(|one| self.value(node(one)?)).collect()
    }

    fn boxed(&mut self, one: &Option<Box<Node>>) -> Lowered<Expr> {
        self.value(some(one)?)
    }

    fn value(&mut self, value: &NodeEnum) -> Lowered<Expr> {
        Ok(match value {
            NodeEnum::AConst(constant) => lower_constant(constant)?,
            NodeEnum::ParamRef(parameter) => {
                Expr::Bind(usize::try_from(parameter.number - 1).map_err(|error| error.to_string())?)
            }
            NodeEnum::ColumnRef(column) => match strings(&column.fields)?.as_slice() {
                [alias, column] => Expr::Column(identifier(alias), identifier(column)),
                _ => return Err("a column without an alias".into()),
            },
            NodeEnum::FuncCall(call) => self.call(call)?,
            NodeEnum::SqlvalueFunction(function) => Expr::Session(session_value(function.op)?),
            NodeEnum::CoalesceExpr(form) => self.form("coalesce", &form.args)?,
            NodeEnum::MinMaxExpr(form) => {
                let name = if form.op == MinMaxOp::IsGreatest as i32 { "greatest" } else { "least" };
                self.form(name, &form.args)?
            }
            NodeEnum::TypeCast(cast) => {
                let kind = lower_type(cast.type_name.as_ref().ok_or("no type")?)?;
                let inner = some(&cast.arg)?;
                // `true` is a constant of its own since PostgreSQL 15; casts stay casts.
                Expr::Cast(Box::new(self.value(inner)?), kind)
            }
            NodeEnum::CaseExpr(case) => {
                let operand = case.arg.as_deref().map(|one| self.value(node(one)?)).transpose()?.map(Box::new);
                let mut whens = Vec::new();
                for when in &case.args {
                    let NodeEnum::CaseWhen(when) = node(when)? else { return Err("no WHEN".into()) };
                    whens.push((self.boxed(&when.expr)?, self.boxed(&when.result)?));
                }
                let otherwise = case.defresult.as_deref().map(|one| self.value(node(one)?)).transpose()?.map(Box::new);
                Expr::Case { operand, whens, otherwise }
            }
            NodeEnum::RowExpr(row) => {
                expect(row.row_format == protobuf::CoercionForm::CoerceImplicitCast as i32, "ROW")?;
                Expr::Row(self.values(&row.args)?)
            }
            NodeEnum::AArrayExpr(array) => Expr::Array(self.values(&array.elements)?),
            NodeEnum::AIndirection(indirection) => self.indirection(indirection)?,
            NodeEnum::SubLink(link) => self.link(link)?,
            NodeEnum::BoolExpr(_) | NodeEnum::NullTest(_) | NodeEnum::BooleanTest(_) => self.logic(value)?,
            NodeEnum::AExpr(operation) => self.operation(operation)?,
            other => return Err(format!("a value {}", kind(other))),
        })
    }

    fn form(&mut self, name: &str, arguments: &[Node]) -> Lowered<Expr> {
        let arguments = Arguments::List { distinct: false, values: self.values(arguments)? };
        let function = Function { place: None, name: identifier(name) };
        Ok(Expr::Call(Box::new(Call { function, arguments, order: Vec::new(), filter: None })))
    }

    fn logic(&mut self, value: &NodeEnum) -> Lowered<Expr> {
        let operation = match value {
            NodeEnum::BoolExpr(all) => {
                let mut values = self.values(&all.args)?;
                match BoolExprType::try_from(all.boolop).map_err(|error| error.to_string())? {
                    BoolExprType::AndExpr => Operation::And(values),
                    BoolExprType::OrExpr => Operation::Or(values),
                    BoolExprType::NotExpr => Operation::Not(values.pop().ok_or("NOT without a value")?),
                    BoolExprType::Undefined => return Err("a connective".into()),
                }
            }
            NodeEnum::NullTest(test) => {
                let negated = test.nulltesttype == NullTestType::IsNotNull as i32;
                Operation::Is { value: self.boxed(&test.arg)?, test: Test::Null, negated }
            }
            NodeEnum::BooleanTest(test) => {
                let (is, negated) =
                    match BoolTestType::try_from(test.booltesttype).map_err(|error| error.to_string())? {
                        BoolTestType::IsTrue => (Test::True, false),
                        BoolTestType::IsNotTrue => (Test::True, true),
                        BoolTestType::IsFalse => (Test::False, false),
                        BoolTestType::IsNotFalse => (Test::False, true),
                        other => return Err(format!("{other:?}")),
                    };
                Operation::Is { value: self.boxed(&test.arg)?, test: is, negated }
            }
            _ => return Err("a test".into()),
        };
        Ok(Expr::Operation(Box::new(operation)))
    }

    fn indirection(&mut self, indirection: &protobuf::AIndirection) -> Lowered<Expr> {
        let mut value = self.boxed(&indirection.arg)?;
        for step in &indirection.indirection {
            let NodeEnum::AIndices(indices) = node(step)? else { return Err("attribute notation".into()) };
            let end = |lowering: &mut Self, one: &Option<Box<Node>>| -> Lowered<Option<Box<Expr>>> {
                one.as_deref().map(|one| lowering.value(node(one)?).map(Box::new)).transpose()
            };
            let (from, to) = (end(self, &indices.lidx)?, end(self, &indices.uidx)?);
            value = if indices.is_slice {
                Expr::Slice(Box::new(value), from, to)
            } else {
                Expr::Element(Box::new(value), to.ok_or("no index")?)
            };
        }
        Ok(value)
    }

    fn link(&mut self, link: &protobuf::SubLink) -> Lowered<Expr> {
        let NodeEnum::SelectStmt(select) = some(&link.subselect)? else { return Err("a subquery".into()) };
        let query = self.query(select)?;
        Ok(match SubLinkType::try_from(link.sub_link_type).map_err(|error| error.to_string())? {
            SubLinkType::ExistsSublink => Expr::Exists(Box::new(query)),
            SubLinkType::ExprSublink => Expr::Scalar(Box::new(query)),
            SubLinkType::ArraySublink => Expr::ArrayQuery(Box::new(query)),
            SubLinkType::AnySublink if link.oper_name.is_empty() => {
                let value = self.boxed(&link.testexpr)?;
                Expr::Operation(Box::new(Operation::InQuery { value, query, negated: false }))
            }
            kind @ (SubLinkType::AnySublink | SubLinkType::AllSublink) => {
                let left = self.boxed(&link.testexpr)?;
                let (operator, all) = (operator(&link.oper_name)?, kind == SubLinkType::AllSublink);
                Expr::Operation(Box::new(Operation::Quantified { operator, all, left, right: Many::Query(query) }))
            }
            other => return Err(format!("{other:?}")),
        })
    }

    fn operation(&mut self, operation: &AExpr) -> Lowered<Expr> {
        let name = strings(&operation.name)?;
        let [name] = name.as_slice() else { return Err("a qualified operator".into()) };
        let kind = AExprKind::try_from(operation.kind).map_err(|error| error.to_string())?;
        let right = some(&operation.rexpr)?;
        if kind == AExprKind::AexprNullif {
            let arguments = [operation.lexpr.as_deref().cloned(), operation.rexpr.as_deref().cloned()];
            return self.form("nullif", &arguments.into_iter().flatten().collect::<Vec<_>>());
        }
        let Some(left) = operation.lexpr.as_deref() else {
            expect(*name == "-" && kind == AExprKind::AexprOp, "a prefix operator")?;
            return Ok(Expr::Operation(Box::new(Operation::Minus(self.value(right)?))));
        };
        let value = self.value(node(left)?)?;
        let list = |lowering: &mut Self| match right {
            NodeEnum::List(list) => lowering.values(&list.items),
            _ => Err("no list".to_owned()),
        };
        let lowered = match kind {
            AExprKind::AexprOp => Operation::Binary(of_name(name)?, value, self.value(right)?),
            AExprKind::AexprOpAny | AExprKind::AexprOpAll => {
                let all = kind == AExprKind::AexprOpAll;
                Operation::Quantified {
                    operator: of_name(name)?,
                    all,
                    left: value,
                    right: Many::Array(self.value(right)?),
                }
            }
            AExprKind::AexprDistinct | AExprKind::AexprNotDistinct => {
                let negated = kind == AExprKind::AexprNotDistinct;
                Operation::Distinct { left: value, right: self.value(right)?, negated }
            }
            AExprKind::AexprIn => Operation::In { value, list: list(self)?, negated: *name == "<>" },
            AExprKind::AexprLike | AExprKind::AexprIlike => {
                let any_case = kind == AExprKind::AexprIlike;
                Operation::Like { value, pattern: self.value(right)?, any_case, negated: name.starts_with('!') }
            }
            AExprKind::AexprBetween | AExprKind::AexprNotBetween => {
                let mut ends = list(self)?.into_iter();
                let (Some(low), Some(high)) = (ends.next(), ends.next()) else { return Err("ends".into()) };
                Operation::Between { value, low, high, negated: kind == AExprKind::AexprNotBetween }
            }
            other => return Err(format!("{other:?}")),
        };
        Ok(Expr::Operation(Box::new(lowered)))
    }

    fn call(&mut self, call: &FuncCall) -> Lowered<Expr> {
        expect(call.over.is_none() && !call.agg_within_group && !call.func_variadic, "options of a call")?;
        let path = strings(&call.funcname)?;
        let (place, name) = match path.as_slice() {
            ["pg_catalog", "extract"] => {
                let [field, value] = call.args.as_slice() else { return Err("EXTRACT".into()) };
                let Expr::Text(field) = self.value(node(field)?)? else { return Err("a field".into()) };
                let field = DateField::of(&field).ok_or("a field")?;
                return Ok(Expr::Extract(field, Box::new(self.value(node(value)?)?)));
            }
            [name] | ["pg_catalog", name] => (None, *name),
            [place, name] if is_extension(place) => (Some(Place::Extension(identifier(place))), *name),
            [place, name] => (Some(Place::Schema(identifier(place))), *name),
            _ => return Err("a function".into()),
        };
        expect(
            call.funcformat == protobuf::CoercionForm::CoerceExplicitCall as i32,
            "a function in a syntax of its own",
        )?;
        let arguments = if call.agg_star {
            Arguments::Star
        } else {
            Arguments::List { distinct: call.agg_distinct, values: self.values(&call.args)? }
        };
        let order = call.agg_order.iter().map(|sort| self.order(sort, None)).collect::<Lowered<_>>()?;
        let filter = call.agg_filter.as_deref().map(|filter| self.value(node(filter)?)).transpose()?;
        let function = Function { place, name: identifier(name) };
        Ok(Expr::Call(Box::new(Call { function, arguments, order, filter })))
    }
}

fn outputs(body: &Body) -> &[Item] {
    match body {
        Body::Select(select) => &select.items,
        Body::Query(query) => outputs(&query.body),
        Body::Set { left, .. } => outputs(left),
    }
}

fn of_name(name: &str) -> Lowered<Operator> {
    Operator::of(name).ok_or_else(|| format!("the operator {name}"))
}

fn operator(path: &[Node]) -> Lowered<Operator> {
    match strings(path)?.as_slice() {
        [name] => of_name(name),
        _ => Err("a qualified operator".into()),
    }
}

fn lower_constant(constant: &protobuf::AConst) -> Lowered<Expr> {
    if constant.isnull {
        return Ok(Expr::Null);
    }
    match constant.val.as_ref().ok_or("a constant without a value")? {
        a_const::Val::Ival(number) => Ok(Expr::Integer(number.ival.to_string())),
        // What is no 32-bit number is kept as text.
        a_const::Val::Fval(number) if number.fval.contains('.') => Ok(Expr::Decimal(number.fval.clone())),
        a_const::Val::Fval(number) => Ok(Expr::Integer(number.fval.clone())),
        a_const::Val::Boolval(flag) => Ok(Expr::Boolean(flag.boolval)),
        a_const::Val::Sval(text) => Ok(Expr::Text(text.sval.clone())),
        a_const::Val::Bsval(_) => Err("a bit string".into()),
    }
}

fn session_value(operation: i32) -> Lowered<SessionValue> {
    Ok(match SqlValueFunctionOp::try_from(operation).map_err(|error| error.to_string())? {
        SqlValueFunctionOp::SvfopCurrentCatalog => SessionValue::Catalog,
        SqlValueFunctionOp::SvfopCurrentDate => SessionValue::Date,
        SqlValueFunctionOp::SvfopCurrentRole => SessionValue::Role,
        SqlValueFunctionOp::SvfopCurrentTimestamp => SessionValue::Timestamp,
        SqlValueFunctionOp::SvfopCurrentUser => SessionValue::User,
        SqlValueFunctionOp::SvfopSessionUser => SessionValue::SessionUser,
        other => return Err(format!("{other:?}")),
    })
}

fn lower_type(name: &TypeName) -> Lowered<Type> {
    expect(!name.setof && !name.pct_type && name.typmods.is_empty(), "options of a type")?;
    expect(name.array_bounds.len() <= 1, "an array of several dimensions")?;
    let path = strings(&name.names)?;
    let (word, is_qualified) = match path.as_slice() {
        [word] => (*word, false),
        ["pg_catalog", word] => (*word, true),
        _ => return Err("a type of another schema".into()),
    };
    // `char` is a keyword for `pg_catalog.bpchar`, and `"char"` is another type.
    let base = match word {
        "char" if !is_qualified => Some(BaseType::Char),
        "float8" => Some(BaseType::Double),
        "bool" => Some(BaseType::Boolean),
        "int8" => Some(BaseType::Bigint),
        "int4" => Some(BaseType::Integer),
        "int2" => Some(BaseType::Smallint),
        word => BaseType::of(word),
    };
    Ok(Type { base: base.ok_or_else(|| format!("the type {word}"))?, is_array: !name.array_bounds.is_empty() })
}

fn kind(value: &NodeEnum) -> String {
    format!("{value:?}").chars().take_while(|character| character.is_alphanumeric()).collect()
}
