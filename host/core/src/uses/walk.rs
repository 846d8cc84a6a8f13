//! A walk over the lexemes of one statement, with a frame for each parenthesis that is open.

use std::collections::BTreeSet;

use super::{Action, Path, Unclear};
use crate::sql::scan::{Kind, Lexeme};

/// First words of statements that use no rows (manual, part VI).
const UTILITY: [&str; 40] = [
    "abort",
    "alter",
    "analyze",
    "begin",
    "call",
    "checkpoint",
    "close",
    "cluster",
    "comment",
    "commit",
    "create",
    "deallocate",
    "discard",
    "do",
    "drop",
    "end",
    "execute",
    "fetch",
    "grant",
    "import",
    "listen",
    "load",
    "lock",
    "move",
    "notify",
    "prepare",
    "reassign",
    "refresh",
    "reindex",
    "release",
    "reset",
    "revoke",
    "rollback",
    "savepoint",
    "security",
    "set",
    "show",
    "start",
    "unlisten",
    "vacuum",
];

/// Words that end a FROM clause. All are reserved, so none is an alias.
const CLAUSES: [&str; 10] =
    ["where", "group", "having", "window", "order", "limit", "offset", "fetch", "for", "returning"];

/// Values that stand in FROM like functions, without parentheses (manual, section 9.26).
const VALUES: [&str; 9] = [
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "localtime",
    "session_user",
];

/// What is between a pair of parentheses, or the statement itself.
#[derive(Debug, Default)]
struct Frame {
    /// Where in it the walk is.
    state: State,
    /// The verb of the statement or query.
    verb: Verb,
    /// Names that WITH gives, visible from here on and inside.
    own: Vec<String>,
    /// What MERGE is into.
    target: Option<Path>,
    /// The name that a query of WITH gets when it ends.
    names: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum State {
    /// A query or statement may begin.
    #[default]
    Start,
    /// Behind WITH or a comma: the name of a query comes.
    WithName,
    /// Behind that name.
    WithBody,
    /// In a FROM clause, where an item comes.
    Item,
    /// In a FROM clause, behind an item.
    Joined,
    /// Anywhere else.
    Other,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Verb {
    #[default]
    None,
    Select,
    Insert,
    Update,
    Delete,
    Merge,
}

/// A walk.
pub(super) struct Walk<'t> {
    text: &'t str,
    lexemes: Vec<Lexeme>,
    at: usize,
    frames: Vec<Frame>,
    uses: BTreeSet<(Path, Action)>,
}

impl<'t> Walk<'t> {
    /// A walk over the lexemes of one statement of `text`.
    pub(super) fn new(text: &'t str, lexemes: &[Lexeme]) -> Self {
        let lexemes = lexemes.iter().filter(|lexeme| lexeme.kind != Kind::Comment).copied().collect();
        Self { text, lexemes, at: 0, frames: vec![Frame::default()], uses: BTreeSet::new() }
    }

    /// The relations that the statement names.
    pub(super) fn uses(mut self) -> Result<BTreeSet<(Path, Action)>, Unclear> {
        if self.lexemes.iter().any(|lexeme| lexeme.kind == Kind::Other) {
            return Err(Unclear::Text);
        }
        if self.lexemes.is_empty() || !self.begin()? {
            return Ok(self.uses);
        }
        while self.at < self.lexemes.len() {
            self.step()?;
        }
        let is_open = self.frames.len() > 1 || self.frames[0].state == State::Item;
        if is_open { Err(Unclear::Text) } else { Ok(self.uses) }
    }

    /// Takes the first words, and says whether a query or a statement that changes rows follows.
    fn begin(&mut self) -> Result<bool, Unclear> {
        loop {
            if self.symbol(0) == "(" {
                return Ok(true);
            }
            let first = self.word(0).ok_or(Unclear::Text)?;
            match first.as_str() {
                "select" | "with" | "values" | "table" | "insert" | "update" | "delete" | "merge" => return Ok(true),
                "truncate" => return self.truncate().map(|()| false),
                "copy" => return self.copy(),
                "explain" => {
                    let runs = self.skip_explain();
                    if !runs {
                        return Ok(false);
                    }
                }
                "declare" => match self.find(&["for"]) {
                    Some(at) => self.at = at + 1,
                    None => return Err(Unclear::Text),
                },
                "create" => return Ok(self.skip_to_query()),
                other if UTILITY.contains(&other) => return Ok(false),
                _ => return Err(Unclear::Text),
            }
        }
    }

    /// The word that is `ahead`, in lower case; none where something else is.
    fn word(&self, ahead: usize) -> Option<String> {
        let lexeme = self.lexemes.get(self.at + ahead)?;
        (lexeme.kind == Kind::Word).then(|| lexeme.of(self.text).to_ascii_lowercase())
    }

    fn is_word(&self, ahead: usize, word: &str) -> bool {
        self.word(ahead).as_deref() == Some(word)
    }

    /// The mark or operator that is `ahead`.
    fn symbol(&self, ahead: usize) -> &'t str {
        match self.lexemes.get(self.at + ahead) {
            Some(lexeme) if matches!(lexeme.kind, Kind::Mark | Kind::Operator) => lexeme.of(self.text),
            _ => "",
        }
    }

    /// Whether the word before the next lexeme is this one.
    fn follows(&self, back: usize, word: &str) -> bool {
        let before = self.at.checked_sub(back).and_then(|at| self.lexemes.get(at));
        before.is_some_and(|lexeme| lexeme.kind == Kind::Word && lexeme.of(self.text).eq_ignore_ascii_case(word))
    }

    /// The first of these words outside of parentheses.
    fn find(&self, words: &[&str]) -> Option<usize> {
        let mut depth = 0_usize;
        for (at, lexeme) in self.lexemes.iter().enumerate().skip(self.at) {
            match lexeme.of(self.text) {
                "(" => depth += 1,
                ")" => depth = depth.checked_sub(1)?,
                text if depth == 0
                    && lexeme.kind == Kind::Word
                    && words.iter().any(|word| text.eq_ignore_ascii_case(word)) =>
                {
                    return Some(at);
                }
                _ => {}
            }
        }
        None
    }

    /// Takes `EXPLAIN` and its options, and says whether the statement behind it runs.
    fn skip_explain(&mut self) -> bool {
        self.at += 1;
        let mut runs = false;
        if self.symbol(0) == "(" {
            while self.at < self.lexemes.len() && self.symbol(0) != ")" {
                runs |= self.is_word(0, "analyze") && !["false", "off", "0"].iter().any(|no| self.says(1, no));
                self.at += 1;
            }
            self.at += 1;
        }
        while let Some(option @ ("analyze" | "verbose")) = self.word(0).as_deref() {
            runs |= option == "analyze";
            self.at += 1;
        }
        runs
    }

    fn says(&self, ahead: usize, text: &str) -> bool {
        self.lexemes.get(self.at + ahead).is_some_and(|lexeme| lexeme.of(self.text).eq_ignore_ascii_case(text))
    }

    /// Goes to the query of `CREATE TABLE … AS` and its like, and says whether there is one that runs.
    fn skip_to_query(&mut self) -> bool {
        let is_table = (1..5).any(|ahead| self.is_word(ahead, "table") || self.is_word(ahead, "materialized"));
        let Some(at) = self.find(&["as"]).filter(|_| is_table) else { return false };
        self.at = at + 1;
        self.symbol(0) == "(" || ["select", "with", "values", "table"].iter().any(|word| self.is_word(0, word))
    }

    fn truncate(&mut self) -> Result<(), Unclear> {
        self.at += 1;
        self.at += usize::from(self.is_word(0, "table"));
        loop {
            self.at += usize::from(self.is_word(0, "only"));
            let path = self.path()?;
            self.uses.insert((path, Action::Truncate));
            self.at += usize::from(self.symbol(0) == "*");
            if self.symbol(0) != "," {
                return Ok(());
            }
            self.at += 1;
        }
    }

    /// `COPY relation`, or `COPY (query)`, whose query is walked.
    fn copy(&mut self) -> Result<bool, Unclear> {
        self.at += 1;
        if self.symbol(0) == "(" {
            return Ok(true);
        }
        self.at += usize::from(self.is_word(0, "binary"));
        let path = self.path()?;
        let direction = self.find(&["from", "to"]).ok_or(Unclear::Text)?;
        let is_from = self.lexemes[direction].of(self.text).eq_ignore_ascii_case("from");
        self.uses.insert((path, if is_from { Action::Insert } else { Action::Select }));
        Ok(false)
    }

    /// Takes a name with dots.
    fn path(&mut self) -> Result<Path, Unclear> {
        let mut path = Path::new();
        loop {
            let lexeme = self.lexemes.get(self.at).ok_or(Unclear::Text)?;
            let text = lexeme.of(self.text);
            path.push(match lexeme.kind {
                Kind::Word => text.to_ascii_lowercase(),
                Kind::QuotedName if text.starts_with('"') => text[1..text.len() - 1].replace("\"\"", "\""),
                // Its characters are written as numbers.
                Kind::QuotedName => return Err(Unclear::Names),
                _ => return Err(Unclear::Text),
            });
            self.at += 1;
            if self.symbol(0) != "." {
                return Ok(path);
            }
            self.at += 1;
        }
    }

    fn frame(&mut self) -> &mut Frame {
        let last = self.frames.len() - 1;
        &mut self.frames[last]
    }

    fn state(&self) -> State {
        self.frames.last().map_or(State::Other, |frame| frame.state)
    }

    fn enter(&mut self, state: State) {
        self.frame().state = state;
    }

    /// Takes the next lexeme, or several that belong together.
    fn step(&mut self) -> Result<(), Unclear> {
        match self.symbol(0) {
            "(" => return self.open(),
            ")" => return self.close(),
            "," if self.state() == State::Joined => {
                self.at += 1;
                self.enter(State::Item);
                return Ok(());
            }
            // Behind what SEARCH and CYCLE say of a query of WITH.
            "," if self.state() == State::Start && !self.frame().own.is_empty() => {
                self.at += 1;
                self.enter(State::WithName);
                return Ok(());
            }
            _ => {}
        }
        match self.state() {
            State::Item => self.item(),
            State::WithName => self.with_name(),
            State::WithBody => {
                self.at += 1;
                Ok(())
            }
            State::Start | State::Joined | State::Other => self.keyword(),
        }
    }

    /// Opens a parenthesis. What it is shows in its first words, and where it stands.
    fn open(&mut self) -> Result<(), Unclear> {
        self.at += 1;
        let begins_query = ["select", "with", "values", "table"].iter().any(|word| self.is_word(0, word));
        let mut inner = Frame { state: State::Other, ..Frame::default() };
        match self.state() {
            // The query of a name of WITH, or the names of its columns.
            State::WithBody if self.follows(2, "as") || self.follows(2, "materialized") => {
                inner.state = State::Start;
                inner.names = self.frame().names.take();
            }
            // Joins in parentheses, or a query.
            State::Item => {
                inner.state = if begins_query { State::Start } else { State::Item };
                self.enter(State::Joined);
            }
            State::Start => {
                inner.state = State::Start;
                self.enter(State::Other);
            }
            State::Joined | State::Other | State::WithName | State::WithBody if begins_query => {
                inner.state = State::Start;
            }
            State::Joined | State::Other | State::WithName | State::WithBody => {}
        }
        self.frames.push(inner);
        Ok(())
    }

    fn close(&mut self) -> Result<(), Unclear> {
        let ended = self.frames.pop();
        let (Some(ended), false) = (ended, self.frames.is_empty()) else { return Err(Unclear::Text) };
        if ended.state == State::Item {
            return Err(Unclear::Text);
        }
        self.at += 1;
        if let Some(name) = ended.names {
            self.frame().own.push(name);
            // Another name, or what SEARCH and CYCLE say, or the statement.
            let next = if self.symbol(0) == "," { State::WithName } else { State::Start };
            self.at += usize::from(next == State::WithName);
            self.enter(next);
        }
        Ok(())
    }

    /// The name that WITH gives to a query.
    fn with_name(&mut self) -> Result<(), Unclear> {
        let path = self.path()?;
        let [name] = path.as_slice() else { return Err(Unclear::Text) };
        self.frame().names = Some(name.clone());
        self.enter(State::WithBody);
        Ok(())
    }

    /// An item of FROM.
    fn item(&mut self) -> Result<(), Unclear> {
        match self.word(0).as_deref() {
            Some("only" | "lateral") => {
                self.at += 1;
                return Ok(());
            }
            Some("rows") if self.is_word(1, "from") => {
                self.at += 2;
                self.enter(State::Joined);
                return Ok(());
            }
            Some("select" | "values" | "with") => return self.keyword(),
            Some(word) if VALUES.contains(&word) => {
                self.at += 1;
                self.enter(State::Joined);
                return Ok(());
            }
            _ => {}
        }
        let path = self.path()?;
        if self.symbol(0) != "(" {
            self.read(path);
        }
        self.enter(State::Joined);
        Ok(())
    }

    fn read(&mut self, path: Path) {
        let is_own = matches!(path.as_slice(), [name] if self.frames.iter().any(|frame| frame.own.contains(name)));
        if !is_own {
            self.uses.insert((path, Action::Select));
        }
    }

    /// A word outside of FROM items, or anything else.
    fn keyword(&mut self) -> Result<(), Unclear> {
        let Some(word) = self.word(0) else {
            self.at += 1;
            return Ok(());
        };
        let state = self.state();
        self.at += 1;
        match word.as_str() {
            // Reserved: wherever it stands, a query begins.
            "select" => self.begin_query(State::Other),
            "union" | "intersect" | "except" => self.enter(State::Start),
            "all" | "distinct" if state == State::Start => {}
            "with" if state == State::Start => {
                if self.is_word(0, "recursive") {
                    self.at += 1;
                    let names = self.recursive_names();
                    self.frame().own.extend(names);
                }
                self.enter(State::WithName);
            }
            "values" if state == State::Start => self.begin_query(State::Other),
            "table" if state == State::Start => {
                let path = self.path()?;
                self.read(path);
                self.begin_query(State::Other);
            }
            "insert" | "update" | "delete" | "merge" if state == State::Start => self.change(&word)?,
            "insert" | "update" | "delete" if self.frame().verb == Verb::Merge && self.follows(2, "then") => {
                self.merge_action(&word);
            }
            "from" if self.is_clause(state) => self.enter(State::Item),
            "using" if self.is_using(state) => self.enter(State::Item),
            "join" if state == State::Joined => self.enter(State::Item),
            "on" if state == State::Joined && self.is_word(0, "conflict") => self.enter(State::Other),
            "when" if state == State::Joined && self.frame().verb == Verb::Merge => self.enter(State::Other),
            clause if state == State::Joined && CLAUSES.contains(&clause) => self.enter(State::Other),
            // What SEARCH and CYCLE say behind a query of WITH is passed over.
            _ => {}
        }
        Ok(())
    }

    fn begin_query(&mut self, state: State) {
        let frame = self.frame();
        frame.verb = Verb::Select;
        frame.state = state;
    }

    /// Whether FROM, which was just taken, is the clause of a query.
    fn is_clause(&self, state: State) -> bool {
        let verb = self.frames.last().map_or(Verb::None, |frame| frame.verb);
        let is_distinct = self.follows(2, "distinct") && (self.follows(3, "is") || self.follows(3, "not"));
        state == State::Other && matches!(verb, Verb::Select | Verb::Update) && !is_distinct
    }

    /// Whether USING, which was just taken, is what a DELETE or MERGE reads besides its target.
    fn is_using(&self, state: State) -> bool {
        let verb = self.frames.last().map_or(Verb::None, |frame| frame.verb);
        state == State::Other && matches!(verb, Verb::Delete | Verb::Merge)
    }

    /// A statement that changes rows, behind its verb.
    fn change(&mut self, word: &str) -> Result<(), Unclear> {
        let (verb, action, preposition) = match word {
            "insert" => (Verb::Insert, Some(Action::Insert), Some("into")),
            "update" => (Verb::Update, Some(Action::Update), None),
            "delete" => (Verb::Delete, Some(Action::Delete), Some("from")),
            _ => (Verb::Merge, None, Some("into")),
        };
        if let Some(preposition) = preposition {
            if !self.is_word(0, preposition) {
                return Err(Unclear::Text);
            }
            self.at += 1;
        }
        self.at += usize::from(self.is_word(0, "only"));
        let in_parentheses = self.symbol(0) == "(";
        self.at += usize::from(in_parentheses);
        let path = self.path()?;
        self.at += usize::from(in_parentheses);
        if let Some(action) = action {
            self.uses.insert((path.clone(), action));
        }
        let frame = self.frame();
        frame.verb = verb;
        frame.target = Some(path);
        // Behind INSERT INTO comes a query; the columns before it are in parentheses, and an alias is a word.
        frame.state = if verb == Verb::Insert { State::Start } else { State::Other };
        if verb == Verb::Insert {
            self.insert_source();
        }
        Ok(())
    }

    /// Takes what stands between the target of an INSERT and its query.
    fn insert_source(&mut self) {
        if self.is_word(0, "as") {
            self.at += 2;
        }
        let begins_query = |walk: &Self| ["select", "with", "values", "table"].iter().any(|word| walk.is_word(1, word));
        if self.symbol(0) == "(" && !begins_query(self) && self.symbol(1) != "(" {
            while self.at < self.lexemes.len() && self.symbol(0) != ")" {
                self.at += 1;
            }
            self.at += 1;
        }
        if self.is_word(0, "overriding") {
            self.at += 3;
        }
        if self.is_word(0, "default") {
            self.enter(State::Other);
        }
    }

    fn merge_action(&mut self, word: &str) {
        let action = match word {
            "insert" => Action::Insert,
            "update" => Action::Update,
            _ => Action::Delete,
        };
        if let Some(target) = self.frame().target.clone() {
            self.uses.insert((target, action));
        }
    }

    /// The names that `WITH RECURSIVE` gives: each is visible in all of its queries.
    fn recursive_names(&self) -> Vec<String> {
        let mut names = Vec::new();
        let mut depth = 0_usize;
        let mut is_name = true;
        for lexeme in &self.lexemes[self.at..] {
            let text = lexeme.of(self.text);
            match text {
                "(" => depth += 1,
                ")" if depth == 0 => break,
                ")" => depth -= 1,
                "," if depth == 0 => is_name = true,
                _ if depth == 0 && is_name => {
                    let is_quoted = lexeme.kind == Kind::QuotedName && text.len() > 2;
                    names.push(if is_quoted { text[1..text.len() - 1].to_owned() } else { text.to_ascii_lowercase() });
                    is_name = false;
                }
                _ => {}
            }
            let is_verb = ["select", "insert", "update", "delete", "merge", "values", "table"];
            if depth == 0 && lexeme.kind == Kind::Word && is_verb.iter().any(|verb| text.eq_ignore_ascii_case(verb)) {
                names.retain(|name| !is_verb.contains(&name.as_str()));
                break;
            }
        }
        names
    }
}
