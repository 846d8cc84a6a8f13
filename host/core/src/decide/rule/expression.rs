//! Expressions that a target keeps in its own words.
//!
//! PostgreSQL keeps `(region = 'eu'::text)` for `region = 'eu'`. Whether both are the same expression is
//! decided by operator precedence: each text becomes a list of operands and operators in postfix order
//! (Dijkstra's shunting-yard algorithm), which has no parentheses and needs no recursion, however deep a
//! text nests. What the algorithm does not know, such as a subquery or CASE, is the same only where the
//! texts are.

use crate::sql::scan::{Kind, Lexeme, scan};

/// Whether a target that keeps expressions in its own form keeps this one as that: parentheses and the case of names that are
/// not quoted say nothing, and a type behind a literal says nothing where the wanted text has none.
pub(super) fn is_same_text(wanted: &str, kept: &str) -> bool {
    if wanted == kept {
        return true;
    }
    let (Some(wanted), Some(kept)) = (postfix(wanted), postfix(kept)) else { return false };
    wanted == kept || (without_types(&wanted) == wanted && without_types(&kept) == wanted)
}

/// One step of an expression in postfix order.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// A literal, as it is written.
    Literal(String),
    /// A name, a number or a constant.
    Name(String),
    /// A type to which the step before is cast.
    Cast(String),
    /// An operator, with the number of its operands.
    Operator(String, usize),
    /// A call, with the number of its arguments.
    Call(String, usize),
}

/// The steps without types behind literals.
fn without_types(steps: &[Step]) -> Vec<Step> {
    let mut kept: Vec<Step> = Vec::with_capacity(steps.len());
    for step in steps {
        let is_type = matches!((step, kept.last()), (Step::Cast(_), Some(Step::Literal(_))));
        if !is_type {
            kept.push(step.clone());
        }
    }
    kept
}

/// An operator that waits for its right side, or a parenthesis that is open.
#[derive(Debug)]
enum Waiting {
    Operator {
        text: String,
        level: u8,
        operands: usize,
    },
    /// A parenthesis or bracket, the mark that closes it, the call, row or array that it belongs to, and how
    /// many commas it has.
    Open {
        closes: &'static str,
        call: Option<String>,
        commas: usize,
    },
}

/// Operators of two operands that are words, with the operator that the server keeps in their place.
const WORDS: [(&str, &str, u8); 4] =
    [("or", "or", 1), ("and", "and", 2), ("like", "~~", PATTERN), ("ilike", "~~*", PATTERN)];
/// How strongly operators bind that are no symbols between two operands (manual, section 4.1.6).
const NOT: u8 = 3;
const IS: u8 = 4;
const PATTERN: u8 = 6;
const SIGN: u8 = 10;

fn level(operator: &str) -> u8 {
    match operator {
        "=" | "<>" | "<" | ">" | "<=" | ">=" => 5,
        "+" | "-" => 8,
        "*" | "/" | "%" => 9,
        _ => 7,
    }
}

/// The number of a literal such as `'-2'`: the server keeps `'-2'::integer` for `-2`.
fn negated(literal: &str) -> Option<String> {
    let digits = literal.strip_prefix("'-")?.strip_suffix('\'')?;
    let is_number = digits.starts_with(|first: char| first.is_ascii_digit())
        && digits.chars().all(|char| char.is_ascii_digit() || char == '.');
    is_number.then(|| digits.to_owned())
}

struct Yard<'t> {
    text: &'t str,
    lexemes: Vec<Lexeme>,
    at: usize,
    steps: Vec<Step>,
    waiting: Vec<Waiting>,
    /// Whether an operand comes next.
    wants_operand: bool,
}

/// An expression in postfix order; none where it is not understood.
fn postfix(text: &str) -> Option<Vec<Step>> {
    let mut yard =
        Yard { text, lexemes: scan(text).ok()?, at: 0, steps: Vec::new(), waiting: Vec::new(), wants_operand: true };
    while yard.at < yard.lexemes.len() {
        if yard.wants_operand { yard.operand()? } else { yard.operator()? }
    }
    if yard.wants_operand {
        return None;
    }
    yard.reduce(0);
    yard.waiting.is_empty().then_some(yard.steps)
}

impl Yard<'_> {
    fn lexeme(&self, ahead: usize) -> Option<(Kind, &str)> {
        self.lexemes.get(self.at + ahead).map(|lexeme| (lexeme.kind, lexeme.of(self.text)))
    }

    fn is_word(&self, ahead: usize, word: &str) -> bool {
        matches!(self.lexeme(ahead), Some((Kind::Word, text)) if text.eq_ignore_ascii_case(word))
    }

    fn is_mark(&self, ahead: usize, mark: &str) -> bool {
        matches!(self.lexeme(ahead), Some((Kind::Mark, text)) if text == mark)
    }

    /// Ends all operators that bind at least as strongly as `level`, up to the last open parenthesis.
    fn reduce(&mut self, level: u8) {
        while let Some(Waiting::Operator { level: bound, .. }) = self.waiting.last()
            && *bound >= level
            && let Some(Waiting::Operator { text, operands, .. }) = self.waiting.pop()
        {
            self.steps.push(Step::Operator(text, operands));
        }
    }

    /// Takes an operand, or what stands before one.
    fn operand(&mut self) -> Option<()> {
        let (kind, text) = self.lexeme(0)?;
        match kind {
            Kind::Literal => {
                let literal = Step::Literal(text.to_owned());
                self.take(literal);
            }
            Kind::Number => {
                let number = Step::Name(text.to_owned());
                self.take(number);
            }
            Kind::Operator if text == "-" => {
                self.at += 1;
                self.waiting.push(Waiting::Operator { text: "-".into(), level: SIGN, operands: 1 });
            }
            Kind::Mark if text == "(" => {
                self.at += 1;
                self.waiting.push(Waiting::Open { closes: ")", call: None, commas: 0 });
            }
            Kind::Word if text.eq_ignore_ascii_case("array") && self.is_mark(1, "[") => {
                self.at += 2;
                self.waiting.push(Waiting::Open { closes: "]", call: Some("array[]".into()), commas: 0 });
            }
            // A call without arguments, or an array without elements.
            Kind::Mark => return self.close_empty(),
            Kind::Word if text.eq_ignore_ascii_case("not") => {
                self.at += 1;
                self.waiting.push(Waiting::Operator { text: "not".into(), level: NOT, operands: 1 });
            }
            Kind::Word
                if ["select", "with", "case", "array", "exists", "row", "cast", "interval"]
                    .iter()
                    .any(|word| text.eq_ignore_ascii_case(word)) =>
            {
                return None;
            }
            Kind::Word | Kind::QuotedName => return self.name(),
            Kind::Operator | Kind::Parameter | Kind::Comment | Kind::Other => return None,
        }
        Some(())
    }

    fn take(&mut self, step: Step) {
        self.at += 1;
        self.steps.push(step);
        self.wants_operand = false;
    }

    /// A name with dots, or the call of a function.
    fn name(&mut self) -> Option<()> {
        let mut name = self.part()?;
        while self.is_mark(0, ".") {
            self.at += 1;
            name = format!("{name}.{}", self.part()?);
        }
        if self.is_mark(0, "(") {
            self.at += 1;
            self.waiting.push(Waiting::Open { closes: ")", call: Some(name), commas: 0 });
        } else {
            self.steps.push(Step::Name(name));
            self.wants_operand = false;
        }
        Some(())
    }

    /// A part of a name: in lower case unless it is quoted, and without quotes that it does not need.
    fn part(&mut self) -> Option<String> {
        let (kind, text) = self.lexeme(0)?;
        let part = match kind {
            Kind::Word => text.to_ascii_lowercase(),
            Kind::QuotedName => {
                let inside = text.strip_prefix('"')?.strip_suffix('"')?;
                let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
                if inside.bytes().all(is_plain) { inside.to_owned() } else { text.to_owned() }
            }
            _ => return None,
        };
        self.at += 1;
        Some(part)
    }

    /// Takes what stands behind an operand.
    fn operator(&mut self) -> Option<()> {
        let (kind, text) = self.lexeme(0)?;
        match (kind, text) {
            (Kind::Mark, ")" | "]") => self.close(),
            (Kind::Mark, ",") => self.comma(),
            (Kind::Mark, "::") => self.cast(),
            (Kind::Operator, operator) => {
                let operator = if operator == "!=" { "<>" } else { operator }.to_owned();
                let level = level(&operator);
                self.binary(operator, level, 1)
            }
            (Kind::Word, word) if word.eq_ignore_ascii_case("is") => self.test(),
            (Kind::Word, word) => {
                let negated = word.eq_ignore_ascii_case("not");
                let known = WORDS.iter().find(|(known, ..)| self.is_word(usize::from(negated), known))?;
                let operator = if negated { format!("!{}", known.1) } else { known.1.to_owned() };
                if negated && known.2 != PATTERN {
                    return None;
                }
                self.binary(operator, known.2, 1 + usize::from(negated))
            }
            _ => None,
        }
    }

    fn binary(&mut self, text: String, level: u8, lexemes: usize) -> Option<()> {
        self.at += lexemes;
        self.reduce(level);
        self.waiting.push(Waiting::Operator { text, level, operands: 2 });
        self.wants_operand = true;
        Some(())
    }

    /// `IS [NOT] NULL` and its like, behind their operand.
    fn test(&mut self) -> Option<()> {
        let negated = self.is_word(1, "not");
        let (kind, word) = self.lexeme(1 + usize::from(negated))?;
        let word = word.to_ascii_lowercase();
        if kind != Kind::Word || !["null", "true", "false", "unknown"].contains(&word.as_str()) {
            return None;
        }
        self.at += 2 + usize::from(negated);
        self.reduce(IS);
        self.steps.push(Step::Operator(format!("is {}{word}", if negated { "not " } else { "" }), 1));
        Some(())
    }

    fn comma(&mut self) -> Option<()> {
        self.at += 1;
        self.reduce(0);
        match self.waiting.last_mut()? {
            Waiting::Open { commas, .. } => *commas += 1,
            Waiting::Operator { .. } => return None,
        }
        self.wants_operand = true;
        Some(())
    }

    /// Closes what was opened last; none where the mark at hand closes something else.
    fn opened(&mut self) -> Option<(Option<String>, usize)> {
        match self.waiting.pop()? {
            Waiting::Open { closes, call, commas } if self.is_mark(0, closes) => Some((call, commas)),
            Waiting::Open { .. } | Waiting::Operator { .. } => None,
        }
    }

    fn close(&mut self) -> Option<()> {
        self.reduce(0);
        match self.opened()? {
            (None, 0) => {}
            (None, commas) => self.steps.push(Step::Call("row".into(), commas + 1)),
            (Some(name), commas) => self.steps.push(Step::Call(name, commas + 1)),
        }
        self.at += 1;
        Some(())
    }

    fn close_empty(&mut self) -> Option<()> {
        match self.opened()? {
            (Some(name), 0) => {
                self.take(Step::Call(name, 0));
                Some(())
            }
            _ => None,
        }
    }

    /// `::` and a type: a name, more words of it, a length in parentheses, and brackets.
    fn cast(&mut self) -> Option<()> {
        self.at += 1;
        let mut name = self.part()?;
        while self.is_mark(0, ".") {
            self.at += 1;
            name = format!("{name}.{}", self.part()?);
        }
        let more = ["varying", "precision", "with", "without", "time", "zone"];
        while more.iter().any(|word| self.is_word(0, word)) {
            name = format!("{name} {}", self.part()?);
        }
        if self.is_mark(0, "(") {
            while !self.is_mark(0, ")") {
                name.push_str(self.lexeme(0)?.1);
                self.at += 1;
            }
            name.push(')');
            self.at += 1;
        }
        while self.is_mark(0, "[") && self.is_mark(1, "]") {
            name.push_str("[]");
            self.at += 2;
        }
        let number = match self.steps.last() {
            Some(Step::Literal(text)) if ["integer", "bigint", "numeric"].contains(&name.as_str()) => negated(text),
            _ => None,
        };
        if let Some(number) = number {
            self.steps.pop();
            self.steps.extend([Step::Name(number), Step::Operator("-".into(), 1)]);
        } else {
            self.steps.push(Step::Cast(name));
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_writes_otherwise_says_the_same() {
        // As PostgreSQL 15 and 18 give them back.
        for (wanted, kept) in [
            ("region = 'eu'", "(region = 'eu'::text)"),
            ("owner = current_user", "(owner = CURRENT_USER)"),
            ("a = 1 and (b or not c)", "((a = 1) AND (b OR (NOT c)))"),
            ("Tenant = \"Mixed\"", "(tenant = \"Mixed\")"),
            ("\"tenant\" <> 2", "(tenant <> 2)"),
            ("tenant != 2", "(tenant <> 2)"),
            ("true", "true"),
            ("a + b * 2 > c or d is not null", "(((a + (b * 2)) > c) OR (d IS NOT NULL))"),
            ("name like 'a%' and not name not like 'b'", "((name ~~ 'a%'::text) AND (NOT (name !~~ 'b'::text)))"),
            ("lower(name) = f()", "(lower(name) = f())"),
            ("a::text = 'x'", "((a)::text = 'x'::text)"),
            ("region = any (array['eu', 'us'])", "(region = ANY (ARRAY['eu'::text, 'us'::text]))"),
            ("n <> all (array[1, -2])", "(n <> ALL (ARRAY[1, '-2'::integer]))"),
            ("tags = array[]::text[]", "(tags = ARRAY[]::text[])"),
            ("d < '2020-01-01'", "(d < '2020-01-01'::timestamp with time zone)"),
        ] {
            assert!(is_same_text(wanted, kept), "{wanted} and {kept}: {:?} {:?}", postfix(wanted), postfix(kept));
        }
    }

    #[test]
    fn what_says_something_else_differs() {
        for (wanted, kept) in [
            ("region = 'eu'", "(region = 'us'::text)"),
            ("a = 1 or b", "((a = 1) AND b)"),
            ("a and b or c", "(a AND (b OR c))"),
            ("tenant = \"Mixed\"", "(tenant = mixed)"),
            ("region = 'eu'::bpchar", "(region = 'eu'::text)"),
            ("a = 1", "a = 1; drop table t"),
            ("a = (", "a = ("),
            ("a - b - c = 0", "((a - (b - c)) = 0)"),
            ("f(a, b)", "f((a, b))"),
            ("not a = b", "((NOT a) = b)"),
            ("a is null", "(a IS NOT NULL)"),
            ("a = any (array[b, c])", "(a = ANY (ARRAY[b]))"),
            ("array[a, (b)", "array[a, (b])"),
        ] {
            assert!(!is_same_text(wanted, kept) || wanted == kept, "{wanted} and {kept}");
        }
    }

    #[test]
    fn a_text_of_any_depth_is_compared() {
        let long = format!("{}b", "a or ".repeat(8_000));
        assert!(is_same_text(&long, &format!("({long})")));
        let deep = format!("{}a{}", "(".repeat(20_000), ")".repeat(20_000));
        assert!(is_same_text("a", &deep));
        assert!(!is_same_text("b", &deep));
    }
}
