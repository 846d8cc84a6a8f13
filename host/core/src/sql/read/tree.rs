//! The syntax tree of a read statement.
//!
//! The tree is the language: it has a node for everything that a read statement may contain, and for
//! nothing else. Names in it are resolved (`resolve`), and the statement that is sent is rendered from
//! it (`render`). Its depth is bounded by `limits::SQL_DEPTH` while it is built, so walking, comparing
//! and dropping it can recurse.

use crate::sql::identifier::Identifier;

/// A query: `WITH … SELECT … ORDER BY … LIMIT … OFFSET …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Named queries, each visible to those behind it and to the body.
    pub with: Vec<(Identifier, Query)>,
    /// What gives the rows.
    pub body: Body,
    /// Sort keys.
    pub order: Vec<Order>,
    /// How many rows at most.
    pub limit: Option<Expr>,
    /// How many rows are skipped.
    pub offset: Option<Expr>,
}

/// What gives the rows of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// `SELECT`.
    Select(Box<Select>),
    /// A query in parentheses.
    Query(Box<Query>),
    /// Two bodies together.
    Set {
        /// How.
        operation: SetOperation,
        /// Whether equal rows are kept.
        all: bool,
        /// The first.
        left: Box<Body>,
        /// The second.
        right: Box<Body>,
    },
}

/// How the rows of two queries are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetOperation {
    /// `UNION`.
    Union,
    /// `INTERSECT`.
    Intersect,
    /// `EXCEPT`.
    Except,
}

/// `SELECT`, without what belongs to its query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Select {
    /// Whether equal rows are one.
    pub distinct: bool,
    /// The select list.
    pub items: Vec<Item>,
    /// The `FROM` list; each element is one chain of joins.
    pub from: Vec<Joined>,
    /// `WHERE`.
    pub filter: Option<Expr>,
    /// `GROUP BY`.
    pub group: Vec<Key>,
    /// `HAVING`.
    pub having: Option<Expr>,
}

/// An output of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its value.
    pub value: Expr,
    /// Its name: what stands behind `AS`, or the name of the column that is the value. Other values have
    /// none and cannot be referred to by name.
    pub name: Option<Identifier>,
}

/// A `FROM` item with what is joined to it, from left to right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// The first.
    pub first: Factor,
    /// The others.
    pub joins: Vec<Join>,
}

/// One join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Join {
    /// Which rows stay.
    pub kind: JoinKind,
    /// What is joined.
    pub factor: Factor,
    /// `ON`; none for a cross join alone.
    pub on: Option<Expr>,
}

/// Which rows a join keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JoinKind {
    /// `JOIN`.
    Inner,
    /// `LEFT JOIN`.
    Left,
    /// `RIGHT JOIN`.
    Right,
    /// `FULL JOIN`.
    Full,
    /// `CROSS JOIN`.
    Cross,
}

/// A `FROM` item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Factor {
    /// What gives the rows.
    pub source: Source,
    /// The name under which columns are referred to. It is unique in the whole statement.
    pub alias: Identifier,
    /// The names that its columns get, where it is a function of the catalogue: all that can be referred
    /// to.
    pub columns: Vec<Identifier>,
}

/// What gives the rows of a `FROM` item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A relation, by schema and name.
    Relation(Identifier, Identifier),
    /// A query of this statement's `WITH`.
    Common(Identifier),
    /// A function.
    Function {
        /// Its call.
        call: Call,
        /// Whether a number is counted up beside its columns.
        ordinality: bool,
    },
    /// A query in parentheses.
    Query {
        /// The query.
        query: Box<Query>,
        /// Whether it sees the items before it.
        lateral: bool,
    },
}

/// A sort key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// By what.
    pub key: Key,
    /// Whether the largest comes first.
    pub descending: bool,
    /// Whether NULL comes first; none for what the direction implies.
    pub nulls_first: Option<bool>,
}

/// What is sorted or grouped by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// An output, by its number from 1.
    Output(usize),
    /// A value.
    Value(Expr),
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// `NULL`.
    Null,
    /// `TRUE` or `FALSE`.
    Boolean(bool),
    /// Digits, with a minus where it is negative.
    Integer(String),
    /// Digits with a point, with a minus where it is negative.
    Decimal(String),
    /// A string literal.
    Text(String),
    /// A bind parameter, by its number from 0.
    Bind(usize),
    /// `alias.column`.
    Column(Identifier, Identifier),
    /// A value of the session, such as `current_user`.
    Session(SessionValue),
    /// A function call, `COALESCE` and its like among them.
    Call(Box<Call>),
    /// `EXTRACT(field FROM value)`.
    Extract(DateField, Box<Expr>),
    /// A value with an operator, which stands in parentheses beside another one.
    Operation(Box<Operation>),
    /// `EXISTS (SELECT …)`.
    Exists(Box<Query>),
    /// `(SELECT …)` as a value.
    Scalar(Box<Query>),
    /// `CASE`.
    Case {
        /// What is compared with each `WHEN`, if anything.
        operand: Option<Box<Expr>>,
        /// `WHEN a THEN b`: one or more.
        whens: Vec<(Expr, Expr)>,
        /// `ELSE`.
        otherwise: Option<Box<Expr>>,
    },
    /// `x::type`.
    Cast(Box<Expr>, Type),
    /// `(a, b)`: two or more, as one side of a comparison or of `IN`.
    Row(Vec<Expr>),
    /// `ARRAY[…]`.
    Array(Vec<Expr>),
    /// `ARRAY(SELECT …)`.
    ArrayQuery(Box<Query>),
    /// `x[i]`.
    Element(Box<Expr>, Box<Expr>),
    /// `x[i:j]`; either end may be open.
    Slice(Box<Expr>, Option<Box<Expr>>, Option<Box<Expr>>),
}

/// A value with an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// `- x`.
    Minus(Expr),
    /// `NOT x`.
    Not(Expr),
    /// `a AND b …`: two or more.
    And(Vec<Expr>),
    /// `a OR b …`: two or more.
    Or(Vec<Expr>),
    /// `a operator b`.
    Binary(Operator, Expr, Expr),
    /// `a operator ANY (b)` or `ALL`.
    Quantified {
        /// The operator.
        operator: Operator,
        /// Whether it must hold for all.
        all: bool,
        /// The left side.
        left: Expr,
        /// An array or a query.
        right: Many,
    },
    /// `x IS [NOT] NULL`, `TRUE`, `FALSE`.
    Is {
        /// What is asked about.
        value: Expr,
        /// What it is.
        test: Test,
        /// Whether it is not.
        negated: bool,
    },
    /// `a IS [NOT] DISTINCT FROM b`.
    Distinct {
        /// The left side.
        left: Expr,
        /// The right side.
        right: Expr,
        /// Whether it is not.
        negated: bool,
    },
    /// `a [NOT] LIKE b` or `ILIKE`.
    Like {
        /// The text.
        value: Expr,
        /// The pattern.
        pattern: Expr,
        /// Whether letters of both cases are the same.
        any_case: bool,
        /// Whether it is not.
        negated: bool,
    },
    /// `a [NOT] BETWEEN b AND c`.
    Between {
        /// The value.
        value: Expr,
        /// The least.
        low: Expr,
        /// The greatest.
        high: Expr,
        /// Whether it is not.
        negated: bool,
    },
    /// `a [NOT] IN (b, …)`.
    In {
        /// The value.
        value: Expr,
        /// One or more.
        list: Vec<Expr>,
        /// Whether it is not.
        negated: bool,
    },
    /// `a [NOT] IN (SELECT …)`.
    InQuery {
        /// The value.
        value: Expr,
        /// The query.
        query: Query,
        /// Whether it is not.
        negated: bool,
    },
}

/// What an `ANY` or `ALL` is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Many {
    /// The elements of an array.
    Array(Expr),
    /// The rows of a query.
    Query(Query),
}

/// A function call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Which function.
    pub function: Function,
    /// Its arguments.
    pub arguments: Arguments,
    /// `ORDER BY` of an aggregate.
    pub order: Vec<Order>,
    /// `FILTER (WHERE …)` of an aggregate.
    pub filter: Option<Expr>,
}

/// A function, as its name says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Function {
    /// Where it is; none for `pg_catalog`.
    pub place: Option<Place>,
    /// Its name.
    pub name: Identifier,
}

/// Where a function is that is not in `pg_catalog`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// In a schema.
    Schema(Identifier),
    /// In whatever schema this extension is in.
    Extension(Identifier),
}

/// The arguments of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arguments {
    /// `*`, for `count` alone.
    Star,
    /// Values.
    List {
        /// Whether equal ones are one.
        distinct: bool,
        /// The values.
        values: Vec<Expr>,
    },
}

/// What `IS` asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Test {
    /// `NULL`.
    Null,
    /// `TRUE`.
    True,
    /// `FALSE`.
    False,
}

/// Defines an enumeration whose cases each have one spelling in SQL.
macro_rules! spelled {
    ($(#[doc = $doc:literal])* $name:ident { $($(#[doc = $case_doc:literal])* $case:ident = $text:literal,)+ }) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name {
            $($(#[doc = $case_doc])* $case,)+
        }

        impl $name {
            /// All cases.
            pub const ALL: &[Self] = &[$(Self::$case,)+];

            /// The spelling in SQL.
            pub fn sql(self) -> &'static str {
                match self {
                    $(Self::$case => $text,)+
                }
            }

            /// The case with this spelling.
            pub fn of(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|case| case.sql() == text)
            }
        }
    };
}

spelled! {
    /// An operator between two values.
    Operator {
        /// Addition.
        Plus = "+",
        /// Subtraction.
        Minus = "-",
        /// Multiplication.
        Times = "*",
        /// Division.
        Divide = "/",
        /// Remainder.
        Modulo = "%",
        /// Concatenation.
        Concat = "||",
        /// Equality.
        Equal = "=",
        /// Inequality.
        NotEqual = "<>",
        /// Less.
        Less = "<",
        /// Greater.
        Greater = ">",
        /// Less or equal.
        LessOrEqual = "<=",
        /// Greater or equal.
        GreaterOrEqual = ">=",
        /// Matches a regular expression.
        Matches = "~",
        /// Matches one in any case.
        MatchesAnyCase = "~*",
        /// Does not match one.
        MatchesNot = "!~",
        /// Does not match one in any case.
        MatchesNotAnyCase = "!~*",
        /// A field of JSON.
        Field = "->",
        /// A field of JSON as text.
        FieldText = "->>",
        /// Contains.
        Contains = "@>",
        /// Overlaps.
        Overlaps = "&&",
    }
}

spelled! {
    /// A value of the session that SQL writes without parentheses (manual, section 9.26).
    SessionValue {
        /// The database.
        Catalog = "current_catalog",
        /// The date.
        Date = "current_date",
        /// The role that acts.
        Role = "current_role",
        /// The time.
        Timestamp = "current_timestamp",
        /// The role that acts.
        User = "current_user",
        /// The role that logged in.
        SessionUser = "session_user",
    }
}

spelled! {
    /// A field of a time (manual, section 9.9.1).
    DateField {
        /// Seconds since 1970.
        Epoch = "epoch",
        /// The year.
        Year = "year",
        /// The month.
        Month = "month",
        /// The day.
        Day = "day",
        /// The hour.
        Hour = "hour",
        /// The minute.
        Minute = "minute",
        /// The second.
        Second = "second",
    }
}

/// A type to which values are cast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Type {
    /// The type, or that of the elements.
    pub base: BaseType,
    /// Whether it is an array of them.
    pub is_array: bool,
}

spelled! {
    /// A type of `pg_catalog`. None evaluates a type that a text names, as `regtype` and `regprocedure` do.
    BaseType {
        /// Eight bytes.
        Bigint = "bigint",
        /// True or false.
        Boolean = "boolean",
        /// One byte.
        Char = "\"char\"",
        /// A day.
        Date = "date",
        /// Floating point.
        Double = "double precision",
        /// Four bytes.
        Integer = "integer",
        /// A length of time.
        Interval = "interval",
        /// JSON in binary form.
        Jsonb = "jsonb",
        /// A name of the catalogue.
        Name = "name",
        /// Any number.
        Numeric = "numeric",
        /// A number of the catalogue.
        Oid = "oid",
        /// A relation, by its number or name.
        Regclass = "regclass",
        /// A schema, by its number or name.
        Regnamespace = "regnamespace",
        /// A role, by its number or name.
        Regrole = "regrole",
        /// Two bytes.
        Smallint = "smallint",
        /// Text.
        Text = "text",
        /// A time with its zone.
        Timestamptz = "timestamptz",
    }
}
