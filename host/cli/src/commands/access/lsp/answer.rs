//! Requests about a place in a document, and what they are answered.

use std::ops::Range;
use std::path::Path;

use lsp_server::ErrorCode;
use lsp_types::request::{Completion, Formatting, GotoDefinition, HoverRequest, Request as _};
use lsp_types::{
    CompletionItem, CompletionItemKind, CompletionList, CompletionOptions, CompletionTextEdit, Diagnostic,
    DiagnosticSeverity, DocumentFormattingParams, Hover, HoverContents, HoverProviderCapability, MarkupContent,
    MarkupKind, NumberOrString, OneOf, PositionEncodingKind, ServerCapabilities, TextDocumentPositionParams,
    TextDocumentSyncCapability, TextDocumentSyncKind, TextDocumentSyncOptions, TextDocumentSyncSaveOptions, TextEdit,
};
use raito_access::editor::{
    Known, Lines, Origin, Page, Position, ProposalKind, Units, complete, definition, hover, target_in,
};
use raito_access::format::format_text;
use raito_config::Mistake;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::folder::{Folder, Held};
use super::reads::Reads;
use super::{path_of, uri_of};

/// What the server can.
pub(super) fn capabilities(units: Units) -> ServerCapabilities {
    let characters = [" ", ".", "[", "{"].map(str::to_owned).to_vec();
    ServerCapabilities {
        position_encoding: Some(match units {
            Units::Utf8 => PositionEncodingKind::UTF8,
            Units::Utf16 => PositionEncodingKind::UTF16,
        }),
        text_document_sync: Some(TextDocumentSyncCapability::Options(TextDocumentSyncOptions {
            open_close: Some(true),
            change: Some(TextDocumentSyncKind::FULL),
            save: Some(TextDocumentSyncSaveOptions::Supported(true)),
            ..TextDocumentSyncOptions::default()
        })),
        completion_provider: Some(CompletionOptions {
            trigger_characters: Some(characters),
            ..CompletionOptions::default()
        }),
        hover_provider: Some(HoverProviderCapability::Simple(true)),
        definition_provider: Some(OneOf::Left(true)),
        document_formatting_provider: Some(OneOf::Left(true)),
        ..ServerCapabilities::default()
    }
}

/// A range as the protocol has it.
fn range(lines: &Lines, text: &str, bytes: &Range<usize>, units: Units) -> lsp_types::Range {
    let at = |offset| {
        let Position { line, unit } = lines.position(text, offset, units);
        lsp_types::Position { line, character: unit }
    };
    lsp_types::Range { start: at(bytes.start), end: at(bytes.end) }
}

/// Mistakes of a file, in the words of `raito access validate`.
pub(super) fn diagnostics(page: &Page, mistakes: &[Mistake], units: Units) -> Vec<Diagnostic> {
    let diagnostic = |mistake: &Mistake| {
        let bytes = page.lines.bytes(&page.text, mistake.place);
        let message = match &mistake.help {
            Some(help) => format!("{} ({help})", mistake.message),
            None => mistake.message.clone(),
        };
        Diagnostic {
            range: range(&page.lines, &page.text, &bytes, units),
            severity: Some(DiagnosticSeverity::ERROR),
            code: Some(NumberOrString::String("mistake".to_owned())),
            source: Some("raito".to_owned()),
            message,
            ..Diagnostic::default()
        }
    };
    mistakes.iter().map(diagnostic).collect()
}

/// A refusal: its code and why.
type Refusal = (ErrorCode, String);

/// Answers a request. A document that is no access code has no answers, and that is none either.
pub(super) fn answer(
    folder: &Folder,
    reads: &Reads,
    units: Units,
    method: &str,
    params: Value,
) -> Result<Value, Refusal> {
    if method == Formatting::METHOD {
        let params: DocumentFormattingParams = parse(params)?;
        return match held(folder, params.text_document.uri.as_str()) {
            Some(held) => formatted(held, units),
            None => Ok(Value::Null),
        };
    }
    type Answer = fn(&Asked<'_>) -> Value;
    let answer: Answer = match method {
        Completion::METHOD => |asked| asked.completion(),
        HoverRequest::METHOD => |asked| asked.hover(),
        GotoDefinition::METHOD => |asked| asked.definition(),
        _ => return Err((ErrorCode::MethodNotFound, format!("{method} is not known here"))),
    };
    let params: TextDocumentPositionParams = parse(params)?;
    let Some(held) = held(folder, params.text_document.uri.as_str()) else { return Ok(Value::Null) };
    let position = Position { line: params.position.line, unit: params.position.character };
    let offset = held.page.lines.offset(&held.page.text, position, units);
    Ok(answer(&Asked { folder, reads, units, page: &held.page, offset }))
}

fn parse<P: DeserializeOwned>(params: Value) -> Result<P, Refusal> {
    serde_json::from_value(params).map_err(|error| (ErrorCode::InvalidParams, error.to_string()))
}

fn held<'f>(folder: &'f Folder, uri: &str) -> Option<&'f Held> {
    folder.file(&path_of(uri)?)
}

fn formatted(held: &Held, units: Units) -> Result<Value, Refusal> {
    let Page { text, lines, .. } = &held.page;
    let new_text = format_text(text).map_err(|error| (ErrorCode::RequestFailed, error.to_string()))?;
    if new_text == *text {
        return Ok(json!([]));
    }
    Ok(json!([TextEdit { range: range(lines, text, &(0..text.len()), units), new_text }]))
}

/// A place that is asked about.
struct Asked<'a> {
    folder: &'a Folder,
    reads: &'a Reads,
    units: Units,
    page: &'a Page,
    offset: usize,
}

impl Asked<'_> {
    fn known<T>(&self, ask: impl FnOnce(&Known<'_>) -> T) -> T {
        let pages: Vec<&Page> = self.folder.files.iter().map(|held| &held.page).collect();
        let targets = self.reads.targets();
        ask(&Known { pages: &pages, targets: &targets, read: &|target| self.reads.last(target) })
    }

    fn range(&self, bytes: &Range<usize>) -> lsp_types::Range {
        range(&self.page.lines, &self.page.text, bytes, self.units)
    }

    fn completion(&self) -> Value {
        let proposals = self.known(|known| complete(self.page, self.offset, known));
        let range = self.range(&proposals.replaced);
        let item = |(rank, proposal): (usize, raito_access::editor::Proposal)| CompletionItem {
            label: proposal.label,
            kind: Some(match proposal.kind {
                ProposalKind::Key => CompletionItemKind::PROPERTY,
                ProposalKind::Word => CompletionItemKind::ENUM_MEMBER,
                ProposalKind::Person => CompletionItemKind::CONSTANT,
                ProposalKind::Control => CompletionItemKind::REFERENCE,
                ProposalKind::Object => CompletionItemKind::FIELD,
                ProposalKind::Kind => CompletionItemKind::CLASS,
                ProposalKind::Permission => CompletionItemKind::KEYWORD,
                ProposalKind::Target => CompletionItemKind::MODULE,
            }),
            detail: Some(proposal.detail).filter(|detail| !detail.is_empty()),
            sort_text: Some(format!("{rank:04}")),
            filter_text: Some(proposal.compared),
            text_edit: Some(CompletionTextEdit::Edit(TextEdit { range, new_text: proposal.text })),
            ..CompletionItem::default()
        };
        let items = proposals.list.into_iter().enumerate().map(item).collect();
        json!(CompletionList { is_incomplete: proposals.cut, items })
    }

    fn hover(&self) -> Value {
        let Some((value, bytes)) = self.known(|known| hover(self.page, self.offset, known)) else { return Value::Null };
        let contents = HoverContents::Markup(MarkupContent { kind: MarkupKind::Markdown, value });
        json!(Hover { contents, range: Some(self.range(&bytes)) })
    }

    fn definition(&self) -> Value {
        let origins = self.known(|known| definition(self.page, self.offset, known));
        let places: Vec<Value> = origins.into_iter().filter_map(|origin| self.place(origin)).collect();
        Value::from(places)
    }

    fn place(&self, origin: Origin) -> Option<Value> {
        match origin {
            Origin::File(file, bytes) => {
                let held = self.folder.files.get(file)?;
                let uri = self.folder.open(&held.path).map(|open| open.uri.clone()).or_else(|| uri_of(&held.path))?;
                let range = range(&held.page.lines, &held.page.text, &bytes, self.units);
                Some(json!({ "uri": uri, "range": range }))
            }
            Origin::Target(name) => {
                let (path, text) = self.reads.configuration()?;
                let bytes = target_in(&text, &name)?;
                let uri = uri_of(&self.folder.whole(Path::new(&path)))?;
                Some(json!({ "uri": uri, "range": range(&Lines::of(&text), &text, &bytes, self.units) }))
            }
        }
    }
}
