//! Calls: naming an entry of the manifest and giving it values.

use crate::types::{self, Argument, Fault, FaultKind, Value};
use crate::{fault, http, sql};

/// A call that is being put together.
#[derive(Clone)]
pub struct Call(types::Call);

impl Call {
    /// A call of an entry of a slot.
    pub fn new(slot: &str, entry: &str) -> Self {
        Self(types::Call { slot: slot.to_owned(), entry: entry.to_owned(), at: None, arguments: Vec::new() })
    }

    /// Chooses one of the slot's places, such as a database.
    #[must_use]
    pub fn at(mut self, place: &str) -> Self {
        self.0.at = Some(place.to_owned());
        self
    }

    /// Gives a value.
    #[must_use]
    pub fn value(mut self, name: &str, value: Value) -> Self {
        self.0.arguments.push(Argument { name: name.to_owned(), value });
        self
    }

    /// Gives a text.
    #[must_use]
    pub fn text(self, name: &str, text: impl Into<String>) -> Self {
        self.value(name, Value::Text(text.into()))
    }

    /// Gives a text where there is one; an absent argument is an absent parameter.
    #[must_use]
    pub fn optional(self, name: &str, text: Option<impl Into<String>>) -> Self {
        match text {
            Some(text) => self.text(name, text),
            None => self,
        }
    }

    /// Gives a number.
    #[must_use]
    pub fn integer(self, name: &str, number: i64) -> Self {
        self.value(name, Value::Integer(number))
    }

    /// Gives a flag.
    #[must_use]
    pub fn boolean(self, name: &str, flag: bool) -> Self {
        self.value(name, Value::Boolean(flag))
    }

    /// The call as the contract has it.
    pub fn build(self) -> types::Call {
        self.0
    }

    /// Sends a read route and gives its answer, where the status is 200.
    ///
    /// # Errors
    /// The host's fault, or one that says the status.
    pub fn get(self) -> Result<Page, Fault> {
        let entry = self.0.entry.clone();
        let done = http::send(&self.0)?;
        let reply =
            done.reply.ok_or_else(|| fault(FaultKind::Internal, format!("{entry} was recorded and not sent")))?;
        Page::new(&entry, reply)
    }

    /// Sends a read statement. The server begins at once, while the connector goes on; what it has against the statement is told
    /// with the first row.
    ///
    /// # Errors
    /// The host's fault.
    pub fn query(self) -> Result<Rows, Fault> {
        let entry = self.0.entry.clone();
        let rows = sql::query(&self.0)?;
        Ok(Rows { entry, columns: rows.columns().len(), rows: Some(rows), page: Vec::new().into_iter() })
    }

    /// Runs a read statement that gives one row.
    ///
    /// # Errors
    /// The host's fault, or one that says that there is no row.
    pub fn query_one(self) -> Result<SqlRow, Fault> {
        let entry = self.0.entry.clone();
        let mut rows = self.query()?;
        let first = rows.next_row()?;
        while rows.next_row()?.is_some() {}
        first.ok_or_else(|| fault(FaultKind::Internal, format!("{entry} gave no row")))
    }
}

/// An answer with a good status.
pub struct Page {
    /// The body.
    pub body: Vec<u8>,
    /// The header fields, names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Page {
    /// Takes an answer, or says what its status means.
    ///
    /// # Errors
    /// A fault of the class that belongs to the status.
    pub fn new(entry: &str, reply: http::Reply) -> Result<Self, Fault> {
        let kind = match reply.status {
            200..=299 => {
                let headers = reply.headers.into_iter().map(|header| (header.name, header.value)).collect();
                return Ok(Self { body: reply.body, headers });
            }
            401 | 403 => FaultKind::Unauthorized,
            404 => FaultKind::Incomplete,
            409 | 412 => FaultKind::Conflict,
            408 | 429 | 500..=599 => FaultKind::Unavailable,
            _ => FaultKind::Internal,
        };
        Err(fault(kind, format!("{entry} was answered with status {}", reply.status)))
    }

    /// A header field.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The value of a query parameter of the `next` link in a `Link` header (RFC 8288): where the next page begins.
pub fn next_cursor(link: &str, parameter: &str) -> Option<String> {
    for part in link.split(',') {
        let (target, attributes) = part.trim().strip_prefix('<')?.split_once('>')?;
        let is_next = attributes.split(';').any(|attribute| matches!(attribute.trim(), "rel=\"next\"" | "rel=next"));
        if !is_next {
            continue;
        }
        let (_, query) = target.split_once('?')?;
        return query.split('&').find_map(|pair| {
            let (key, value) = pair.split_once('=')?;
            (key == parameter).then(|| percent_decoded(value)).flatten()
        });
    }
    None
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        if *byte == b'%' {
            let pair = std::str::from_utf8(behind.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(pair, 16).ok()?);
            rest = &behind[2..];
        } else {
            bytes.push(*byte);
        }
    }
    String::from_utf8(bytes).ok()
}

/// One row: its cells as text, none for NULL.
pub struct SqlRow(Vec<Option<String>>);

impl SqlRow {
    /// A row of these cells.
    pub fn new(cells: Vec<Option<String>>) -> Self {
        Self(cells)
    }

    /// How many bytes the texts have that were not taken yet.
    pub fn bytes(&self) -> usize {
        self.0.iter().flatten().map(String::len).sum()
    }

    /// Takes the text of a column; empty for NULL. Each cell can be taken once.
    pub fn text(&mut self, column: usize) -> String {
        self.optional(column).unwrap_or_default()
    }

    /// Takes the text of a column, or none for NULL.
    pub fn optional(&mut self, column: usize) -> Option<String> {
        self.0.get_mut(column).and_then(Option::take)
    }

    /// Whether a column holds true.
    pub fn boolean(&self, column: usize) -> bool {
        matches!(self.0.get(column), Some(Some(text)) if text == "true")
    }

    /// The number in a column.
    pub fn integer(&self, column: usize) -> Option<i64> {
        self.0.get(column)?.as_ref()?.parse().ok()
    }
}

/// The rows of a statement. Rows that are not read to their end cost the host its transaction: the next statement begins
/// another one.
pub struct Rows {
    entry: String,
    /// Cells that each row has.
    columns: usize,
    /// None at the end.
    rows: Option<sql::Rows>,
    page: std::vec::IntoIter<Vec<Option<String>>>,
}

impl Rows {
    /// The next row; none at the end. It has a cell for each column of the statement.
    ///
    /// # Errors
    /// The host's fault, or one that says that a row has another number of cells.
    pub fn next_row(&mut self) -> Result<Option<SqlRow>, Fault> {
        loop {
            if let Some(row) = self.page.next() {
                return fitting(&self.entry, self.columns, row).map(Some);
            }
            let Some(rows) = &self.rows else { return Ok(None) };
            match rows.next()? {
                Some(page) => self.page = page.into_iter(),
                None => self.rows = None,
            }
        }
    }
}

/// A row, where it has as many cells as there are columns: a cell that is not there is not NULL.
fn fitting(entry: &str, columns: usize, cells: Vec<Option<String>>) -> Result<SqlRow, Fault> {
    if cells.len() == columns {
        return Ok(SqlRow(cells));
    }
    Err(fault(FaultKind::Internal, format!("{entry} gave a row of {} cells for {columns} columns", cells.len())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_that_is_not_there_is_not_null() {
        let cells = || vec![Some("a".to_owned()), None];
        assert_eq!(fitting("roles", 2, cells()).expect("a row").integer(1), None);
        for columns in [1, 3] {
            let said = fitting("roles", columns, cells()).err().expect("another number");
            assert_eq!(said.message, format!("roles gave a row of 2 cells for {columns} columns"));
        }
    }

    #[test]
    fn the_next_page_is_found_in_the_link_header() {
        let link = "</v1/people?limit=10>; rel=\"first\", </v1/people?limit=10&after=p%2F01%20x>; rel=\"next\"";
        assert_eq!(next_cursor(link, "after").as_deref(), Some("p/01 x"));
        assert_eq!(next_cursor(link, "cursor"), None);
        assert_eq!(next_cursor("</v1/people?after=1>; rel=\"prev\"", "after"), None);
        assert_eq!(next_cursor("nonsense", "after"), None);
    }

    #[test]
    fn a_status_is_a_class_of_fault() {
        let kind = |status| {
            Page::new("x", http::Reply { status, headers: vec![], body: vec![] }).err().map(|fault| fault.kind)
        };
        assert_eq!(kind(200), None);
        assert_eq!(kind(401), Some(FaultKind::Unauthorized));
        assert_eq!(kind(412), Some(FaultKind::Conflict));
        assert_eq!(kind(503), Some(FaultKind::Unavailable));
        assert_eq!(kind(302), Some(FaultKind::Internal));
    }
}
