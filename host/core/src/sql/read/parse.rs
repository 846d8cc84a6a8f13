//! The parser for read statements: recursive descent, with precedence climbing for expressions.
//!
//! Precedence is that of PostgreSQL (manual, section 4.1.6). A mistake here could only make a statement
//! mean something else than its author expects: what is sent is rendered from the tree, with parentheses
//! around every operand. The tests hold both against PostgreSQL's own parser all the same.

mod expression;
mod from;

use super::tree::{Body, Expr, Item, Key, Order, Query, Select, SetOperation};
use crate::limits;
use crate::sql::cursor::Cursor;
use crate::sql::identifier::Identifier;
use crate::sql::position::SqlError;
use crate::sql::token::Token;
use crate::sql::{Bind, BindType};

/// A parsed statement, before its names are resolved.
pub(super) struct Parsed {
    /// The tree.
    pub(super) query: Query,
    /// The bind parameters, in the order of their first use.
    pub(super) binds: Vec<Bind>,
    /// Every name that was written with a dot or as a function or relation, and where.
    pub(super) places: Vec<(String, usize)>,
}

/// Parses one statement.
///
/// # Errors
/// `SqlError` where it is anything else than one query of the language.
pub(super) fn parse(text: &str) -> Result<Parsed, SqlError> {
    let cursor = Cursor::new(text)?;
    let mut parser = Parser { cursor, binds: Vec::new(), places: Vec::new(), depth: 0, links: 0 };
    for (word, instead) in [
        ("values", "write SELECT"),
        ("table", "write SELECT with the columns that are needed"),
        ("show", "write SELECT current_setting('…')"),
    ] {
        if parser.cursor.is_word(word) {
            return Err(parser.cursor.error(0, format!("`{}` is not accepted: {instead}", word.to_ascii_uppercase())));
        }
    }
    if !(parser.cursor.is_word("select") || parser.cursor.is_word("with") || parser.cursor.is_mark("(")) {
        let first = parser.cursor.peek(0).shown();
        return Err(parser
            .cursor
            .error(parser.cursor.at(), format!("a read statement is one SELECT, and this begins with {first}")));
    }
    let query = parser.query()?;
    if *parser.cursor.peek(0) != Token::End {
        return Err(parser.cursor.expected("the end of the statement"));
    }
    Ok(Parsed { query, binds: parser.binds, places: parser.places })
}

struct Parser<'t> {
    cursor: Cursor<'t>,
    binds: Vec<Bind>,
    places: Vec<(String, usize)>,
    /// How many calls of `nested` are open.
    depth: usize,
    /// How many nodes were put on top of others without a call of `nested`.
    links: usize,
}

impl Parser<'_> {
    /// Parses what is one level deeper.
    fn nested<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T, SqlError>) -> Result<T, SqlError> {
        if self.depth == limits::SQL_DEPTH {
            return Err(self.cursor.error(
                self.cursor.at(),
                format!("more than {} levels of parentheses and operators", limits::SQL_DEPTH),
            ));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    /// Counts a node that takes what was parsed before as its left side.
    fn link(&mut self) -> Result<(), SqlError> {
        self.links += 1;
        if self.links > limits::SQL_LINKS {
            return Err(self.cursor.error(self.cursor.at(), format!("more than {} operators", limits::SQL_LINKS)));
        }
        Ok(())
    }

    /// Parses one or more, with commas between them.
    fn list<T>(&mut self, mut parse: impl FnMut(&mut Self) -> Result<T, SqlError>) -> Result<Vec<T>, SqlError> {
        let mut all = vec![parse(self)?];
        while self.cursor.takes_mark(",") {
            all.push(parse(self)?);
        }
        Ok(all)
    }

    /// `WITH … body ORDER BY … LIMIT … OFFSET …`
    fn query(&mut self) -> Result<Query, SqlError> {
        self.nested(|parser| {
            let with = parser.with()?;
            let at = parser.cursor.at();
            let body = parser.body(0)?;
            let order = if parser.cursor.takes_words(&["order", "by"]) {
                parser.list(|parser| parser.order(Some(&body)))?
            } else {
                Vec::new()
            };
            let (mut limit, mut offset) = (None, None);
            loop {
                if limit.is_none() && parser.cursor.takes_word("limit") {
                    limit = Some(parser.value()?);
                } else if offset.is_none() && parser.cursor.takes_word("offset") {
                    offset = Some(parser.value()?);
                } else {
                    break;
                }
            }
            match body {
                // The server moves clauses behind a parenthesis into it.
                Body::Query(_) if !(with.is_empty() && order.is_empty() && limit.is_none() && offset.is_none()) => {
                    Err(parser.cursor.error(at, "a query in parentheses has its own WITH, ORDER BY, LIMIT and OFFSET"))
                }
                Body::Query(inner) => Ok(*inner),
                body => Ok(Query { with, body, order, limit, offset }),
            }
        })
    }

    fn with(&mut self) -> Result<Vec<(Identifier, Query)>, SqlError> {
        if !self.cursor.takes_word("with") {
            return Ok(Vec::new());
        }
        if self.cursor.is_word("recursive") {
            return Err(self
                .cursor
                .error(self.cursor.at(), "`WITH RECURSIVE` is not accepted: it could run without end"));
        }
        self.list(|parser| {
            let at = parser.cursor.at();
            let name = parser.cursor.identifier("the name of a query")?;
            parser.places.push((name.to_string(), at));
            parser.cursor.word("as")?;
            parser.cursor.mark("(")?;
            let query = parser.query()?;
            parser.cursor.mark(")")?;
            Ok((name, query))
        })
    }

    /// Bodies that are put together: `INTERSECT` binds stronger than `UNION` and `EXCEPT`.
    fn body(&mut self, least: u8) -> Result<Body, SqlError> {
        self.nested(|parser| {
            let mut left = parser.term()?;
            loop {
                let (operation, level) = match parser.cursor.peek(0) {
                    Token::Word(word) if word == "union" => (SetOperation::Union, 1),
                    Token::Word(word) if word == "except" => (SetOperation::Except, 1),
                    Token::Word(word) if word == "intersect" => (SetOperation::Intersect, 2),
                    _ => return Ok(left),
                };
                if level <= least {
                    return Ok(left);
                }
                parser.cursor.take();
                parser.link()?;
                let all = parser.cursor.takes_word("all");
                if !all {
                    parser.cursor.takes_word("distinct");
                }
                let right = parser.body(level)?;
                left = Body::Set { operation, all, left: Box::new(left), right: Box::new(right) };
            }
        })
    }

    fn term(&mut self) -> Result<Body, SqlError> {
        if self.cursor.takes_mark("(") {
            let query = self.query()?;
            self.cursor.mark(")")?;
            let is_bare = query.with.is_empty() && query.order.is_empty();
            return Ok(if is_bare && query.limit.is_none() && query.offset.is_none() {
                query.body
            } else {
                Body::Query(Box::new(query))
            });
        }
        self.cursor.word("select")?;
        self.select().map(|select| Body::Select(Box::new(select)))
    }

    fn select(&mut self) -> Result<Select, SqlError> {
        let distinct = self.cursor.takes_word("distinct");
        if distinct && self.cursor.is_word("on") {
            return Err(self.cursor.error(self.cursor.at(), "`DISTINCT ON` is not accepted"));
        }
        let items = self.list(Self::item)?;
        let from = if self.cursor.takes_word("from") { self.list(Self::joined)? } else { Vec::new() };
        let filter = if self.cursor.takes_word("where") { Some(self.value()?) } else { None };
        let group = if self.cursor.takes_words(&["group", "by"]) {
            self.list(|parser| parser.key(Some(&items)))?
        } else {
            Vec::new()
        };
        let having = if self.cursor.takes_word("having") { Some(self.value()?) } else { None };
        Ok(Select { distinct, items, from, filter, group, having })
    }

    fn item(&mut self) -> Result<Item, SqlError> {
        if matches!(self.cursor.peek(0), Token::Operator("*")) {
            return Err(self.cursor.error(self.cursor.at(), "`*` is not accepted: name each column as alias.column"));
        }
        let value = self.value()?;
        let named =
            if self.cursor.takes_word("as") { Some(self.cursor.identifier("the name of an output")?) } else { None };
        let name = named.or_else(|| match &value {
            Expr::Column(_, column) => Some(column.clone()),
            _ => None,
        });
        Ok(Item { value, name })
    }

    /// A sort key. `body` has the outputs that it may name; none within an aggregate, which has none.
    fn order(&mut self, body: Option<&Body>) -> Result<Order, SqlError> {
        let key = self.key(body.map(outputs))?;
        let descending = self.cursor.takes_word("desc");
        if !descending {
            self.cursor.takes_word("asc");
        }
        let nulls_first = if self.cursor.takes_words(&["nulls", "first"]) {
            Some(true)
        } else if self.cursor.takes_words(&["nulls", "last"]) {
            Some(false)
        } else {
            None
        };
        Ok(Order { key, descending, nulls_first })
    }

    /// A value, or one of `items` by number or name.
    fn key(&mut self, items: Option<&[Item]>) -> Result<Key, SqlError> {
        let at = self.cursor.at();
        if let (Token::Integer(digits), Some(items)) = (self.cursor.peek(0).clone(), items)
            && !matches!(self.cursor.peek(1), Token::Operator(_) | Token::Mark("::"))
        {
            self.cursor.take();
            let number = digits.parse().ok().filter(|number| (1..=items.len()).contains(number));
            return number.map(Key::Output).ok_or_else(|| {
                self.cursor.error(at, format!("there is no output {digits}: there are {}", items.len()))
            });
        }
        let is_alone = !(self.cursor.is_mark_ahead(1, ".") || self.cursor.is_mark_ahead(1, "("));
        if let (Some(name), true) = (self.cursor.peek_identifier(), is_alone) {
            let Some(items) = items else {
                return Err(self.cursor.expected("alias.column"));
            };
            self.cursor.take();
            let mut found = items.iter().enumerate().filter(|(_, item)| item.name.as_ref() == Some(&name));
            return match (found.next(), found.next()) {
                (Some((index, _)), None) => Ok(Key::Output(index + 1)),
                (Some(_), Some(_)) => Err(self.cursor.error(at, format!("two outputs are called {name}"))),
                (None, _) => Err(self.cursor.error(
                    at,
                    format!("no output is called {name}: write alias.column, or name an output of the select list"),
                )),
            };
        }
        let value = self.value()?;
        let is_constant =
            matches!(value, Expr::Null | Expr::Boolean(_) | Expr::Integer(_) | Expr::Decimal(_) | Expr::Text(_));
        if is_constant && items.is_some() {
            return Err(self
                .cursor
                .error(at, "a constant says nothing of the order: name an output by its number alone"));
        }
        Ok(Key::Value(value))
    }

    /// The parameter behind `$`, and the type in which it travels.
    fn bind(&mut self, name: &str, at: usize) -> Result<(usize, BindType), SqlError> {
        let cast = |parser: &Self| {
            parser.cursor.error(
                at,
                format!(
                    "${name} needs the type in which it travels: write ${name}::text, ::bigint, ::boolean or ::text[], and \
                     another cast behind it where SQL needs one"
                ),
            )
        };
        if !self.cursor.takes_mark("::") {
            return Err(cast(self));
        }
        let wanted = self.type_name()?;
        let kind = BindType::of(wanted).ok_or_else(|| cast(self))?;
        let index = match self.binds.iter().position(|bind| bind.name == name) {
            Some(index) if self.binds[index].kind == kind => index,
            Some(_) => return Err(self.cursor.error(at, format!("${name} is used twice with different types"))),
            None => {
                self.binds.push(Bind { name: name.to_owned(), kind });
                self.binds.len() - 1
            }
        };
        if self.binds.len() > limits::ENTRY_PLACEHOLDERS {
            return Err(self.cursor.error(at, format!("more than {} bind parameters", limits::ENTRY_PLACEHOLDERS)));
        }
        Ok((index, kind))
    }
}

/// The outputs of a body: those of its first `SELECT`.
pub(super) fn outputs(body: &Body) -> &[Item] {
    match body {
        Body::Select(select) => &select.items,
        Body::Query(query) => outputs(&query.body),
        Body::Set { left, .. } => outputs(left),
    }
}
