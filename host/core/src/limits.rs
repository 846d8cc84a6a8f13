//! Every bound of the product, with the reason for its number.
//!
//! Whatever a guest, a peer or a file can make longer is bounded by a constant of this file. A bound is a promise about
//! memory, time or disk: changing one changes the threat model, so it is changed here and nowhere else.

use std::time::Duration;

// --- the host ---------------------------------------------------------------------------------------

/// Bytes of the stack of each thread of the host, whatever the system gives the first one: four
/// times what the deepest input takes that the bounds of nesting let through
/// (`tests/fuzz/tests/depth.rs`). Pages that nobody touches are not there.
pub const STACK_BYTES: usize = 16 * 1_024 * 1_024;

// --- text and records -------------------------------------------------------------------------------------------------

/// Bytes of an identifier that a target assigns. The longest known ones are resource paths of clouds, below 600 bytes.
pub const EXTERNAL_ID_BYTES: usize = 1_024;
/// Bytes of a name. Databases allow 63 (PostgreSQL) to 255 (Snowflake); directory names may be longer.
pub const NAME_BYTES: usize = 1_024;
/// The argument types of a routine. PostgreSQL allows 100 arguments, each with a name and a type of 63 bytes and a schema
/// before it; that of `pg_stat_statements` has 1,336 bytes.
pub const SIGNATURE_BYTES: usize = 32 * 1_024;
/// Bytes of a description, of a comment or of a reason.
pub const DESCRIPTION_BYTES: usize = 16 * 1_024;
/// Bytes of a policy's text: a row filter or a mask's body.
pub const POLICY_BYTES: usize = 64 * 1_024;
/// Bytes of one statement's text in step 5. Longer ones are cut by the connector, which says so with a gap.
pub const STATEMENT_BYTES: usize = 64 * 1_024;
/// Bytes of a tag's value.
pub const TAG_VALUE_BYTES: usize = 4 * 1_024;
/// Tags of one record.
pub const TAGS: usize = 256;
/// Parts of an object's path: account, database, schema, table, column and nested fields leave room to spare.
pub const PATH_PARTS: usize = 16;
/// Members or facts that one record may carry; more follow in parts.
pub const RECORD_ITEMS: usize = 100_000;
/// Permissions of one fact.
pub const FACT_PERMISSIONS: usize = 1_024;
/// Objects that one object's data can be reached through.
pub const READS: usize = 4_096;
/// Kinds of objects, of access controls, of masks, or permissions of one kind, in one description.
pub const DESCRIPTION_ITEMS: usize = 1_024;

// --- pages ------------------------------------------------------------------------------------------------------------

/// Records on one page, counting each member and each fact of a control: a page is held whole in memory.
pub const PAGE_RECORDS: usize = 100_000;
/// Bytes that one guest call may hand to the host, arguments and results together: the lifted page is held in memory,
/// and Wasmtime counts it before it allocates.
pub const HOSTCALL_BYTES: usize = 32 * 1_024 * 1_024;
/// Records of one step. Ten times the largest catalogue that was measured (1,000,000 grants).
pub const STEP_RECORDS: u64 = 10_000_000;
/// Pages of one step: with the smallest useful page of a hundred records this still allows every other bound.
pub const STEP_PAGES: u64 = 1_000_000;
/// Pages in a row that carry no record: a reader that never ends is stopped after these.
pub const EMPTY_PAGES_IN_A_ROW: u32 = 64;
/// Bytes of a resume token, which only lives within a run.
pub const RESUME_BYTES: usize = 16 * 1_024;
/// Ids of a read that are kept to tell what is named and not defined: those of the largest
/// catalogue that was measured, in some 24 MB.
pub const REFERENCES_IDS: usize = 1_500_000;
/// Bytes of names that were not defined when they came: a read in which access comes before people
/// has all of its members there.
pub const REFERENCES_BYTES: usize = 16 * 1_024 * 1_024;
/// Bytes of what the host keeps of one step until it is over: names of access controls, and gaps. Hundreds of thousands of access controls with names of usual length; the host's memory is to stay below 200 MiB beside
/// them.
pub const STEP_KEPT_BYTES: usize = 64 * 1_024 * 1_024;
/// Bytes of a read that is kept whole, as `raito access` needs it, and of the access controls that step 4 is to change: ten times 1,000,000 grants of a hundred bytes.
pub const CATALOGUE_BYTES: u64 = 1_024 * 1_024 * 1_024;
/// Users whose account names are kept of step 1, so that what was changed by hand can be told by name: about 3 MiB. Those that
/// a change needs are kept beside them.
pub const USER_NAMES_KEPT: usize = 20_000;
/// Bytes of the users and memberships that are kept of step 1 where what is to be names a group: a million of them with ids of
/// usual length. With more, nobody is known to be in any group, and no access control is changed that names one.
pub const GROUPS_KEPT_BYTES: usize = 128 * 1_024 * 1_024;
/// Gaps that one step may report before it counts as unreadable as a whole.
pub const GAPS: usize = 10_000;
/// Bytes of the lines of all gaps of an upload, which stay in memory until it is taken in: 400 for each of as many as there
/// may be.
pub const GAPS_BYTES: usize = 4 * 1_024 * 1_024;
/// Times that a reader is opened again within one run after it said that the target is unavailable.
pub const RESUMES: u32 = 3;

// --- components -------------------------------------------------------------------------------------------------------

/// Bytes of a component. A Python connector with its interpreter measures 19 MB.
pub const COMPONENT_BYTES: usize = 32 * 1_024 * 1_024;
/// Bytes of one function body. Compiling 1 MiB of chained additions takes about 10 s and 1 GB of memory; ordinary bodies
/// are below 200 KiB (the largest of CPython's interpreter loop).
pub const FUNCTION_BODY_BYTES: usize = 512 * 1_024;
/// Core modules nested in one component: one for code, a few adapters, and shims of the component linker.
pub const CORE_MODULES: usize = 64;
/// Components nested in one component: the component linker makes one for each interface that has
/// types of its own.
pub const COMPONENTS: usize = 128;
/// Levels of types that declare types. A package of interfaces has four.
pub const COMPONENT_TYPE_DEPTH: usize = 64;
/// Interfaces that a component may import, and export. The contract has 12, and WASI 0.2 about 30.
pub const INTERFACES: usize = 128;
/// Bytes of the name of one: with all of them refused by name, the refusal still is one line of the audit log.
pub const INTERFACE_NAME_BYTES: usize = 256;
/// Bytes of the manifest section.
pub const MANIFEST_BYTES: usize = 256 * 1_024;
/// A connector's version.
pub const VERSION_BYTES: usize = 64;
/// Entries (routes, statements, searches) of one manifest.
pub const MANIFEST_ENTRIES: usize = 1_024;
/// Slots of one manifest.
pub const MANIFEST_SLOTS: usize = 32;
/// Settings of one manifest.
pub const MANIFEST_SETTINGS: usize = 128;
/// Placeholders of one entry.
pub const ENTRY_PLACEHOLDERS: usize = 64;
/// Values that one route captures: each is looked for in the whole answer. An id, a version and an
/// entity tag are three.
pub const ENTRY_CAPTURES: usize = 8;

// --- one guest --------------------------------------------------------------------------------------------------------

/// Bytes of all linear memories of one guest together.
pub const GUEST_MEMORY_BYTES: usize = 256 * 1_024 * 1_024;
/// Elements of all tables of one guest together.
pub const GUEST_TABLE_ELEMENTS: usize = 200_000;
/// Core instances of one guest.
pub const GUEST_INSTANCES: usize = 64;
/// Linear memories of one guest.
pub const GUEST_MEMORIES: usize = 8;
/// Tables of one guest.
pub const GUEST_TABLES: usize = 32;
/// Resource handles that one guest may hold.
pub const GUEST_HANDLES: usize = 4_096;
/// Bytes of the guest's stack: Wasmtime's default.
pub const GUEST_STACK_BYTES: usize = 512 * 1_024;
/// One tick of the epoch clock, by which guest time is counted.
pub const EPOCH_TICK: Duration = Duration::from_millis(10);
/// Processor time of one guest call: a page of thousands of records takes milliseconds.
pub const CALL_CPU: Duration = Duration::from_secs(30);
/// Wall time of one guest call that reads, with everything that it waits for.
pub const CALL_WALL: Duration = Duration::from_secs(15 * 60);
/// Wall time of one step.
pub const STEP_WALL: Duration = Duration::from_secs(4 * 60 * 60);
/// Wall time of the one guest call that carries out all changes of a target: as much as a reading step has for all of its pages,
/// since a service that takes 100 ms for a change needs a quarter of an hour for 9,000.
pub const APPLY_WALL: Duration = STEP_WALL;
/// Log messages of one step that are kept; more are counted.
pub const LOG_LINES: u64 = 1_000;
/// Bytes of one log message with its fields.
pub const LOG_LINE_BYTES: usize = 4 * 1_024;
/// Keys of a connector's state.
pub const STATE_KEYS: usize = 256;
/// Bytes of one value of a connector's state.
pub const STATE_VALUE_BYTES: usize = 1_024 * 1_024;
/// Bytes of a connector's state as a whole.
pub const STATE_BYTES: usize = 8 * 1_024 * 1_024;

// --- worker processes -------------------------------------------------------------------------------------------------

/// Bytes of data of a worker process (`RLIMIT_DATA`): a guest's memories, a page of it twice, and the compiler. Compiling the
/// dearest function body of 512 KiB takes 200 MiB (`make bench`), and there is one at a time for each processor.
pub const WORKER_DATA_BYTES: u64 = 1_024 * 1_024 * 1_024;
/// Addresses of a worker process (`RLIMIT_AS`): each memory reserves 4 GiB of them beside its guards, used or not.
pub const WORKER_ADDRESS_BYTES: u64 = 64 * 1_024 * 1_024 * 1_024;
/// Processor time of a worker process (`RLIMIT_CPU`): five steps that each take their whole wall time.
pub const WORKER_CPU: Duration = Duration::from_secs(5 * 4 * 60 * 60);
/// Wall time until a worker process says that it is ready. It takes milliseconds; a loaded machine may take seconds.
pub const WORKER_START: Duration = Duration::from_secs(30);
/// Wall time of looking into a component. A Python connector of 19 MB takes a third of a second. A
/// parser that was built without optimisation takes 10 s, and more on cores that others work on.
pub const INSPECT_WALL: Duration = Duration::from_secs(120);
/// Wall time of compiling a component. A Python connector of 19 MB takes 6 s on two cores. A compiler that was
/// built without optimisation takes 45 s of processor time for it, which took 115 s on two cores that four others worked on.
pub const COMPILE_WALL: Duration = Duration::from_secs(300);
/// Bytes of one message of a worker: what a guest may hand over in one call, which takes less on the way.
pub const WORKER_MESSAGE_BYTES: usize = HOSTCALL_BYTES;
/// Items of one list in a message of a worker: twice what any list may have, so that one which is a little too long is still
/// told by its name. A longer one ends the worker, since it would take the host's memory before it could be told.
pub const WORKER_LIST_ITEMS: usize = 2 * RECORD_ITEMS;
/// Requests of a worker to the broker in one step: calls to the target with the pieces of their answers, logs and clock.
pub const WORKER_REQUESTS: u64 = 10 * STEP_CALLS;
/// Bytes of all messages of a worker in one step: as many records as a step may have, of 6 KiB each.
pub const WORKER_STEP_BYTES: u64 = 64 * 1_024 * 1_024 * 1_024;
/// Bytes of compiled code of one component. Python's measure 35 MB for a component of 19 MB.
pub const CODE_BYTES: usize = 4 * COMPONENT_BYTES;
/// Bytes of the folder with compiled code; the code that was not used for longest goes first.
pub const CODE_CACHE_BYTES: u64 = 512 * 1_024 * 1_024;

// --- the broker -------------------------------------------------------------------------------------------------------

/// Calls to the broker in one step, refused ones among them: a catalogue of a million objects at one call for each hundred.
pub const STEP_CALLS: u64 = 1_000_000;
/// Calls of one step that are refused before nothing is answered any more. An honest connector is refused a few, for names that
/// a target cannot take. Each is a line of the record, of 300 bytes: a thousand in each of five steps of `TARGETS` targets
/// take 1.5 of its 4 GiB.
pub const STEP_REFUSALS: u64 = 1_000;
/// Calls of one `send-all` or of one change of a directory: they are under way at the same time, or answered together.
pub const CALL_BATCH: usize = 256;
/// Statements of one `execute`, which is one transaction. A role with a grant on each table of a large database is changed
/// in one; each statement is a line or two of the audit log, and 10,000 of them take a few MiB on their way.
pub const TRANSACTION_STATEMENTS: usize = 10_000;
/// Bytes of the arguments of those statements: half of what a guest may hand over in one call.
pub const TRANSACTION_BYTES: usize = HOSTCALL_BYTES / 2;
/// Arguments of one call.
pub const CALL_ARGUMENTS: usize = 64;
/// Bytes of one argument's text.
pub const ARGUMENT_BYTES: usize = 64 * 1_024;
/// Items of one argument that is a list.
pub const ARGUMENT_ITEMS: usize = 10_000;
/// Bodies and result sets that one step may hold open.
pub const OPEN_HANDLES: usize = 64;
/// Bytes of an HTTP answer that is given whole.
pub const HTTP_BODY_BYTES: usize = 16 * 1_024 * 1_024;
/// Bytes of all answers of one `send-all` together, with their header fields. They are in memory at the same time, and a
/// guest takes no more than this at once.
pub const SEND_ANSWER_BYTES: usize = HOSTCALL_BYTES;
/// Bytes of an HTTP answer that is read in pieces.
pub const HTTP_STREAM_BYTES: u64 = 4 * 1_024 * 1_024 * 1_024;
/// Bytes of one piece of such an answer.
pub const HTTP_PIECE_BYTES: usize = 1_024 * 1_024;
/// Bytes of an HTTP answer's header fields.
pub const HTTP_HEADER_BYTES: usize = 64 * 1_024;
/// Bytes of a request's URL: what common servers accept.
pub const HTTP_URL_BYTES: usize = 8 * 1_024;
/// Bytes that a run may upload to one slot in read entries: arguments are small, an upload is exfiltration.
pub const READ_UPLOAD_BYTES: u64 = 64 * 1_024 * 1_024;
/// Bytes that a run may download from one slot.
pub const RUN_DOWNLOAD_BYTES: u64 = 16 * 1_024 * 1_024 * 1_024;
/// Wall time of one HTTP exchange, from the connection to the end of the body, unless the grant says less.
pub const HTTP_EXCHANGE: Duration = Duration::from_secs(120);
/// Time to connect.
pub const CONNECT: Duration = Duration::from_secs(10);
/// Time between two pieces of an answer.
pub const HTTP_IDLE: Duration = Duration::from_secs(30);
/// Times that a request is sent again after 429, 503 or a broken connection.
pub const RETRIES: u32 = 5;
/// First pause before sending again; doubles each time.
pub const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// Longest pause, also where the target asks for more: beyond that the step fails and says so.
pub const RETRY_PAUSE_MAX: Duration = Duration::from_secs(60);
/// Requests at the same time to one slot.
pub const HTTP_CONCURRENCY: usize = 8;
/// Requests a second to one slot, unless the grant says otherwise.
pub const HTTP_RATE: u32 = 100;
/// Levels of parentheses, subqueries and operators in a statement of a manifest. The deepest of the
/// PostgreSQL connector has 14.
pub const SQL_DEPTH: usize = 64;
/// Parts of a read statement, once each column of a query stands as its expression in the places where it is
/// named. PostgreSQL's planner puts it there: 24 queries that each name a column twice took it 22 GB, and
/// no timeout ended that. The largest statement of the PostgreSQL connector has some 200.
pub const SQL_WEIGHT: u64 = 20_000;
/// Columns of a query (PostgreSQL manual, appendix K).
pub const SQL_OUTPUTS: usize = 1_664;
/// Operators, casts, joins and set operations in a statement of a manifest, each of which can put one
/// more node on top of another. The PostgreSQL connector needs 60 in one.
pub const SQL_LINKS: usize = 256;
/// Arguments of a routine (`FUNC_MAX_ARGS` of PostgreSQL).
pub const ROUTINE_ARGUMENTS: usize = 100;
/// Brackets that are open at once in the rule of a policy. PostgreSQL's parser takes some thousand.
pub const PREDICATE_DEPTH: usize = 128;
/// Time that one SQL statement may run on the server.
pub const SQL_STATEMENT: Duration = Duration::from_secs(300);
/// Time that a statement waits for a lock. Whoever holds one on the catalogue for longer is at work.
pub const SQL_LOCK: Duration = Duration::from_secs(5);
/// Time that a transaction may stay without a statement: longer than a call of a guest may take.
pub const SQL_IDLE: Duration = Duration::from_secs(30 * 60);
/// How often a server looks whether the host is still there, while a statement runs.
pub const SQL_CLIENT_CHECK: Duration = Duration::from_secs(5);
/// Temporary files of one server process, where the login may bound them: one recursive read wrote 9.6 GB.
pub const SQL_TEMPORARY: &str = "1GB";
/// Rows that the host takes from the server, and gives to the guest, at once.
pub const SQL_ROWS: usize = 1_024;
/// Bytes of those rows, but for the last of them: the guest works on these while the server makes the next.
pub const SQL_ROWS_BYTES: usize = 256 * 1_024;
/// Bytes of one cell.
pub const SQL_CELL_BYTES: usize = 1_024 * 1_024;
/// Bytes of one message of a database server, such as a row.
pub const SQL_MESSAGE_BYTES: u64 = 8 * 1_024 * 1_024;
/// Bytes that a server says about one statement besides its rows: columns, notices, and what it answers to the host's own
/// questions. A result of a thousand columns is described in 80 KiB.
pub const SQL_SAID_BYTES: u64 = 16 * 1_024 * 1_024;
/// Bytes of settings that a server tells on one connection, where they are kept. PostgreSQL 17 tells fifteen.
pub const SQL_SETTINGS_BYTES: u64 = 1_024 * 1_024;
/// Answers of a server about one statement. There are four at most where types are known; each unknown type takes two or three
/// more, one within the other.
pub const SQL_ANSWERS: u32 = 256;
/// Connections to databases of one slot that are kept for the next step: a server with many databases has to have room for others.
pub const SQL_RESTING: usize = 8;
/// Databases of one grant.
pub const SQL_DATABASES: usize = 1_024;
/// Bytes of a secret: an RSA key in PEM form measures 3 KiB.
pub const SECRET_BYTES: usize = 64 * 1_024;
/// Bytes below which a secret is found only where it is a whole value: shorter ones stand in ordinary text by chance.
pub const SHORT_SECRET_BYTES: usize = 12;
/// Bytes of a long secret by which it is recognised: 48 random bytes do not repeat.
pub const LEAK_PATTERN_BYTES: usize = 48;
/// Places of a target's answers, such as a header field or a column, at which what came before is
/// kept in mind: secrets that come in pieces are searched for at each. Connectors have some
/// hundred; from here on one place stands for all others.
pub const LEAK_STRANDS: usize = 4_096;
/// Bytes of a JSON answer up to which each of its values is held against the values that came
/// before at its place. Whoever hands out a secret in pieces sends small answers; large ones are
/// searched as a whole.
pub const LEAK_FIELDS_BYTES: usize = 16 * 1_024;
/// Tokens of one secret slot that are looked for: the one in use, and those before it that an answer may still echo.
pub const WATCHED_TOKENS: usize = 8;
/// Bytes of a token endpoint's answer: a token measures up to 16 KiB with many claims.
pub const TOKEN_ANSWER_BYTES: usize = 128 * 1_024;
/// Time that fetching a token may take.
pub const TOKEN_EXCHANGE: Duration = Duration::from_secs(30);
/// Time that a confirmed number of removals can be used: until the next run of those that run once
/// a day.
pub const CLOUD_CONFIRMATION: Duration = Duration::from_secs(24 * 3_600);
/// Time that a token is used where its endpoint does not say how long it lives.
pub const TOKEN_LIFETIME: Duration = Duration::from_secs(300);
/// Time before its end at which a token is replaced, so that it does not end on its way; at most half of its life.
pub const TOKEN_MARGIN: Duration = Duration::from_secs(60);
/// Time that a signed statement is good for: long enough for clocks that differ a little.
pub const ASSERTION_LIFETIME: Duration = Duration::from_secs(300);
/// Time that a statement which is a token itself is good for; Snowflake allows at most an hour.
pub const KEY_PAIR_LIFETIME: Duration = Duration::from_secs(55 * 60);
/// Time that a command which prints a secret may take.
pub const SECRET_COMMAND: Duration = Duration::from_secs(30);

// --- the cloud --------------------------------------------------------------------------------------------------------

/// Connections of clients to a cloud. Each that waits takes some ten KiB, and at most 48 with the
/// longest head that is not finished; hosts that run every hour keep one or two for a minute.
pub const CLOUD_CONNECTIONS: usize = 12_000;
/// Descriptors that a cloud keeps for itself: its store, with files for each of its connections,
/// its listeners, and what the runtime has.
pub const CLOUD_DESCRIPTORS: u64 = 1_536;
/// Connections to a port that wait to be taken: as many as Linux has them by itself
/// (`net.core.somaxconn`). Of more that come at once, each waits for a second before it tries
/// again.
pub const CLOUD_BACKLOG: u32 = 4_096;
/// Connections to an embedded cloud over its socket, which only its owner reaches: runs and people
/// on one machine.
pub const CLOUD_CONNECTIONS_OF_HOST: usize = 256;
/// Bytes of the head of a request to a cloud. Questions name objects in their URL, each with up to
/// 16 parts.
pub const CLOUD_HEAD_BYTES: usize = 32 * 1_024;
/// Time in which the head of a request arrives, from its first byte on.
pub const CLOUD_HEAD: Duration = Duration::from_secs(15);
/// Time that a connection stays open without a request. The client gives up its own after 30 s, so
/// that it does not send on one that is about to be closed.
pub const CLOUD_IDLE: Duration = Duration::from_secs(75);
/// Time after which a connection without a request may be closed for a new one where there are as
/// many as may be.
pub const CLOUD_IDLE_AT_LEAST: Duration = Duration::from_secs(5);
/// Time between two pieces of a request's body, and between two pieces of an answer that a client
/// takes.
pub const CLOUD_PIECE: Duration = Duration::from_secs(30);
/// Time in which the whole body of a request arrives: 64 MiB at half a MiB a second.
pub const CLOUD_BODY: Duration = Duration::from_secs(130);
/// Time between two pieces of an upload: a page of a target may take [`CALL_WALL`], and the host
/// sends nothing meanwhile.
pub const UPLOAD_PIECE: Duration = Duration::from_secs(16 * 60);
/// Time in which a whole upload arrives: that of a step, and some for its end.
pub const UPLOAD_WALL: Duration = Duration::from_secs(4 * 60 * 60 + 10 * 60);
/// Requests of all tokens that a cloud works on at a time, without uploads and exports.
pub const CLOUD_REQUESTS: usize = 512;
/// The same of one token: a host runs [`PARALLEL_TARGETS`] targets at a time, and people ask beside
/// it.
pub const CLOUD_REQUESTS_OF_TOKEN: usize = 128;
/// Requests of one token that are worked on at a time, of those that share the connections of the store
/// ([`CLOUD_CONNECTIONS_OF_STORE`]): a third of these.
pub const CLOUD_AT_WORK_OF_TOKEN: usize = 8;
/// Uploads of all tokens at a time. Each has a connection to the store with up to 16 MiB of memory,
/// rows of [`UPLOAD_ROWS_BYTES`] and at most one line that has not come to its end.
pub const CLOUD_UPLOADS: usize = 128;
/// The same of one token: as many targets as a host runs at a time.
pub const CLOUD_UPLOADS_OF_TOKEN: usize = PARALLEL_TARGETS as usize;
/// Requests of all tokens with bodies of up to 64 MiB at a time: applied states, and what became of access
/// controls. Each is in memory twice, as text and parsed.
pub const CLOUD_LARGE: usize = 8;
/// The same of one token.
pub const CLOUD_LARGE_OF_TOKEN: usize = 4;
/// Questions about the past of all tokens at a time: for each, everything of a source is read once.
pub const CLOUD_PAST: usize = 8;
/// The same of one token.
pub const CLOUD_PAST_OF_TOKEN: usize = 2;
/// Exports of everything at a time. Each has a connection to the store.
pub const CLOUD_EXPORTS: usize = 4;
/// The same of one token.
pub const CLOUD_EXPORTS_OF_TOKEN: usize = 2;
/// Time that an export takes. The log of the store grows by all that is written meanwhile.
pub const CLOUD_EXPORT: Duration = Duration::from_secs(30 * 60);
/// Pieces of a body beyond which it is refused where they are smaller than [`BODY_PIECE_BYTES`] on average: each takes
/// some forty bytes more than it has.
pub const BODY_PIECES: u64 = 20_000;
/// Bytes of a piece of a body, on average.
pub const BODY_PIECE_BYTES: u64 = 32;
/// Bytes of one upload: [`STEP_RECORDS`] of 800 bytes.
pub const UPLOAD_BYTES: u64 = 8 * 1_024 * 1_024 * 1_024;
/// Bytes of all uploads of one token that are staged and not taken in.
pub const STAGED_BYTES_OF_TOKEN: u64 = 2 * UPLOAD_BYTES;
/// Bytes of all uploads that are staged and not taken in.
pub const STAGED_BYTES: u64 = 2 * STAGED_BYTES_OF_TOKEN;
/// Bytes of rows of one upload that wait to be staged.
pub const UPLOAD_ROWS_BYTES: usize = 4 * 1_024 * 1_024;
/// Bytes of an upload after which its quotas and the disk are looked at again.
pub const UPLOAD_QUOTA_BYTES: u64 = 1_024 * 1_024;
/// Bytes of the disk that uploads leave free, or a twentieth of a smaller one. All of them at a
/// time write 128 MiB between two looks.
pub const CLOUD_DISK_RESERVE: u64 = 1_024 * 1_024 * 1_024;
/// Connections of the store that questions share. One is held for as long as a question takes.
pub const CLOUD_CONNECTIONS_OF_STORE: u32 = 24;
/// Bytes of one line of an upload: one record with all that it carries.
pub const UPLOAD_LINE_BYTES: usize = 8 * 1_024 * 1_024;
/// Bytes of a JSON request body that is no upload.
pub const CLOUD_BODY_BYTES: usize = 4 * 1_024 * 1_024;
/// Bytes of a JSON request body with what became of access controls: one of 100,000 grants, as the target has it, has about 20 MiB.
pub const CLOUD_FEEDBACK_BYTES: usize = 64 * 1_024 * 1_024;
/// Bytes of an applied state that the cloud keeps of one target: some 60 for each permission, so that of a million permissions fits.
pub const APPLIED_STATE_BYTES: usize = 64 * 1_024 * 1_024;
/// Applied states that a cloud keeps: each is of one repository and one target.
pub const APPLIED_STATES: u32 = 10_000;
/// States of one access control that runs began and nobody heard of. Of more, the two oldest count as one that has what either has.
pub const BEGUN_STATES: usize = 8;
/// Remarks of one step that a report has; of more, it says how many there are.
pub const STEP_REMARKS: usize = 1_000;
/// Items of one page of a list.
pub const CLOUD_PAGE: u32 = 1_000;
/// Bytes of the items of a page, as JSON, after which it ends: one item more may stand on it. A thousand of
/// ordinary length have a tenth.
pub const CLOUD_PAGE_BYTES: usize = 4 * 1_024 * 1_024;
/// Items of a page where the caller does not say how many.
pub const CLOUD_PAGE_DEFAULT: u32 = 100;
/// Time that the client waits for the cloud to answer; ingesting a million records takes seconds.
pub const CLOUD_ANSWER: Duration = Duration::from_secs(15 * 60);
/// Bytes of an answer of the cloud: what a target is to have, of 1,000,000 grants with some hundred
/// bytes each.
pub const CLOUD_ANSWER_BYTES: usize = 512 * 1_024 * 1_024;
/// Bytes of an answer that says why a request was not carried out.
pub const CLOUD_PROBLEM_BYTES: usize = 256 * 1_024;
/// How long somebody waits for the embedded cloud that another process has for itself: longer than most questions take, and
/// short enough that whoever waits does not think that it hangs.
pub const CLOUD_WAIT: Duration = Duration::from_secs(30);
/// How long whoever serves the embedded cloud to others goes on at its end for those who still ask: a question takes less.
pub const CLOUD_LEAVE: Duration = Duration::from_secs(10);

// --- files ------------------------------------------------------------------------------------------------------------

/// Bytes of a configuration file.
pub const CONFIG_BYTES: usize = 4 * 1_024 * 1_024;
/// The last column in which something may begin in a file of YAML, which bounds how deep lists and
/// mappings nest: at most two of them begin in one column, and the parser takes 255 more within
/// brackets. Its functions call themselves, and so do those that format a file. A build without
/// optimisation takes 4 MiB of stack for the deepest file that this lets through.
pub const YAML_COLUMNS: usize = 100;
/// Items of one list in a file of access code: one file with every role of a large warehouse has some ten thousand.
pub const ACCESS_ITEMS: usize = 100_000;
/// Files of access code that are read together.
pub const ACCESS_FILES: usize = 20_000;
/// Bytes of all of them.
pub const ACCESS_BYTES: usize = 256 * 1_024 * 1_024;
/// Folders within folders below `access/`.
pub const ACCESS_DEPTH: usize = 16;
/// Targets of one configuration.
pub const TARGETS: usize = 1_024;
/// Targets of one run at the same time.
pub const PARALLEL_TARGETS: u16 = 64;
/// Bytes of one line of the audit log: arguments are digested, lists of grants are the longest lines.
pub const AUDIT_LINE_BYTES: usize = 1_024 * 1_024;
/// How far a clock may go back before anybody is told: clocks are set by some hundred milliseconds
/// all the time.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(2);
/// Bytes of the audit log whose chain is walked when it is opened: some 150,000 lines, in a
/// fraction of a second.
pub const AUDIT_WALKED_BYTES: u64 = 64 * 1_024 * 1_024;
/// Bytes at a random place of a longer log that are walked as well.
pub const AUDIT_PROBED_BYTES: u64 = 8 * 1_024 * 1_024;
/// Bytes of what a write call sends that are on record: escaped as JSON they fit into a line. Of
/// more, the beginning is on record and the digest of all of it.
pub const AUDIT_STATEMENT_BYTES: usize = 128 * 1_024;
/// Bytes of one audit log file of one run's events; a run that would exceed them is stopped.
pub const AUDIT_RUN_BYTES: u64 = 4 * 1_024 * 1_024 * 1_024;
/// Bytes of a signed checkpoint: verifiers are to accept 16 signatures of up to 5 kB (c2sp.org/signed-note).
pub const CHECKPOINT_BYTES: usize = 128 * 1_024;
/// Bytes of a file with anchors: those of a run an hour for six years.
pub const ANCHOR_BYTES: usize = 16 * 1_024 * 1_024;

// --- the conformance suite --------------------------------------------------------------------------------------------

/// Bytes of a scenario: answers that a person still looks through. A catalogue of 100,000 grants is recorded in 20 MB.
pub const SCENARIO_BYTES: usize = 64 * 1_024 * 1_024;
/// Records of one step with one scenario: each read is held as text, to be compared with the next.
pub const SCENARIO_RECORDS: u64 = 200_000;
/// Times that a connector may ask the same in one step: more is a loop, because the answer does not change.
pub const SCENARIO_REPEATS: u32 = 100;
/// Calls of one step at which faults are tried. Each takes a whole read; where there are more calls, these are spread evenly.
pub const SCENARIO_PROBES: usize = 48;

// --- editors ----------------------------------------------------------------------------------------------------------

/// Bytes of one message of an editor. A file of [`CONFIG_BYTES`] takes up to twice as many as JSON: quotes and line ends are
/// two bytes each, and letters beyond ASCII may be six for two.
pub const EDITOR_MESSAGE_BYTES: usize = 16 * 1_024 * 1_024;
/// Bytes of the head of a message, which is one line of 30 bytes, or two.
pub const EDITOR_HEAD_BYTES: usize = 4 * 1_024;
/// Messages of an editor that wait while one is answered; then it waits with the next one.
pub const EDITOR_QUEUE: usize = 64;
/// Files that are open in an editor at the same time.
pub const EDITOR_DOCUMENTS: usize = 1_024;
/// Proposals in one answer. Nobody reads more: typing on asks again.
pub const EDITOR_PROPOSALS: usize = 200;
/// Names in one line of what is shown of a place, and lines of it.
pub const EDITOR_SHOWN: usize = 20;
/// Mappings and lists within each other, in a file that is being written. Access code has eight.
pub const EDITOR_DEPTH: usize = 64;
/// Users whose effective access is looked at to say who has an access control: some hundred microseconds each.
pub const EDITOR_USERS: usize = 10_000;
