//! Runs an untrusted statement with limits: it reads the tables and nothing else, writes nothing, and takes no more time, memory
//! and rows than it is given.
//!
//! Each bound has its own means, and the tests break each by itself:
//!
//! - **One SELECT.** The statement is the text of DuckDB's function `query`, which takes one SELECT. So a second statement, `COPY`, `ATTACH`, `SET`
//!   and the like are refused before anything runs. That matters most for `COPY`: a file that may be read may be written, too.
//! - **No other file.** [`confine`] leaves the files of the tables, and takes away all others, extensions, and the way back.
//! - **Time.** A thread interrupts the statement, again and again until it ends: an interruption that comes before it begins is forgotten by DuckDB.
//! - **Memory.** DuckDB's limit, with no file to spill to. What a function needs for the values of one batch is not counted by DuckDB.
//! - **Rows.** One more than may be answered is fetched, and the answer says that it is cut.

use crate::{Contents, DatabaseError, Span, ask_about, list, open, quoted};
use duckdb::{
    Connection, InterruptHandle,
    arrow::array::{Array, AsArray, StringArray},
};
use std::{
    fmt,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::Duration,
};

/// After that long a statement that was interrupted and has not ended is interrupted again.
const AGAIN: Duration = Duration::from_millis(50);

/// The limits of a statement.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Time.
    pub time: Duration,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Threads.
    pub threads: usize,
    /// Rows of the answer.
    pub rows: usize,
    /// Bytes of the answer's values.
    pub bytes: usize,
}

/// The result of a statement.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Its columns, in order.
    pub columns: Vec<AnswerColumn>,
    /// Its rows: of each column the value as DuckDB writes it as text, or none for NULL.
    pub rows: Vec<Vec<Option<String>>>,
    /// Whether there are more rows than these, because of the bound of rows or bytes.
    pub is_cut: bool,
    /// Which scenes were not applied to which requests, and why.
    pub notes: Vec<String>,
}

/// A column of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerColumn {
    /// Its name.
    pub name: String,
    /// Its type, as DuckDB calls it.
    pub column_type: String,
}

/// The caller holds this value. When it is dropped, the statement is stopped.
pub struct Asker(Sender<Event>);

/// The other end of an [`Asker`], which the statement is run with.
pub struct Asked {
    events: Receiver<Event>,
    end: Sender<Event>,
}

#[derive(Clone, Copy, Debug)]
enum Event {
    /// The statement has ended.
    Ended,
    /// Nobody waits for it any longer.
    Left,
}

/// Who waits for an answer, and what the statement is run with.
pub fn asker() -> (Asker, Asked) {
    let (sender, events) = channel();
    (Asker(sender.clone()), Asked { events, end: sender })
}

impl Drop for Asker {
    fn drop(&mut self) {
        // The statement may have ended long ago: then nobody listens.
        self.0.send(Event::Left).ok();
    }
}

/// Says that the statement has ended.
struct Ends<'a>(&'a Sender<Event>);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.send(Event::Ended).ok();
    }
}

impl fmt::Debug for Asker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Asker")
    }
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Asked")
    }
}

/// Answers one SELECT over the tables, within bounds, unless its [`Asker`] leaves.
///
/// # Errors
/// [`DatabaseError::NotOne`] for anything but one SELECT, [`DatabaseError::TooLong`], [`DatabaseError::Left`], those of [`open`], and
/// [`DatabaseError::Query`] with DuckDB's words.
pub fn answer(contents: &Contents, statement: &str, bounds: Bounds, asked: Asked) -> Result<Answer, DatabaseError> {
    let database = open(contents, &Span::default())?;
    confine(&database, contents, bounds)?;
    let Asked { events, end } = asked;
    let interrupt = database.interrupt_handle();
    let (answered, stopped) = thread::scope(|scope| {
        let watch = scope.spawn(move || watch(&events, bounds.time, &interrupt));
        // The watch waits until the statement ends, also by a panic.
        let ends = Ends(&end);
        let answered = rows(&database, contents, statement, bounds);
        drop(ends);
        (answered, watch.join().ok().flatten())
    });
    match stopped {
        Some(stopped) if answered.is_err() => Err(stopped),
        _ => answered,
    }
}

/// Interrupts the statement when its time is over or its asker has left; gives that as an error.
fn watch(events: &Receiver<Event>, time: Duration, interrupt: &Arc<InterruptHandle>) -> Option<DatabaseError> {
    let mut stopped = None;
    let mut wait = time;
    loop {
        match events.recv_timeout(wait) {
            Ok(Event::Ended) | Err(RecvTimeoutError::Disconnected) => return stopped,
            Ok(Event::Left) => stopped = stopped.or(Some(DatabaseError::Left)),
            Err(RecvTimeoutError::Timeout) => stopped = stopped.or(Some(DatabaseError::TooLong(time.as_secs_f64()))),
        }
        interrupt.interrupt();
        wait = AGAIN;
    }
}

/// Takes away from a database what a statement of others must not do: reading other files than those of the tables, writing any other, loading
/// anything, taking more memory, and setting any of that back.
///
/// # Errors
/// [`DatabaseError::Query`].
pub fn confine(database: &Connection, contents: &Contents, bounds: Bounds) -> Result<(), DatabaseError> {
    let Bounds { memory_bytes, threads, .. } = bounds;
    // Which paths are allowed can only be said while all are.
    let paths: Vec<_> = contents.tracks.iter().map(|file| &file.path).collect();
    let allowed = match paths.as_slice() {
        [] => String::new(),
        paths => format!("SET allowed_paths = [{}];", list(paths)),
    };
    Ok(database.execute_batch(&format!(
        "SET memory_limit = '{memory_bytes}B';
         SET threads = {threads};
         SET temp_directory = '';
         SET autoinstall_known_extensions = false;
         SET autoload_known_extensions = false;
         SET allow_community_extensions = false;
         {allowed}
         SET enable_external_access = false;
         SET lock_configuration = true"
    ))?)
}

/// The rows of one SELECT in a database that is confined.
fn rows(database: &Connection, contents: &Contents, statement: &str, bounds: Bounds) -> Result<Answer, DatabaseError> {
    let notes = ask_about(database, &contents.scenes, statement)?;
    let one = format!("SELECT * FROM query({})", quoted(statement));
    let columns = columns(database, &one).map_err(|error| in_its_own_words(database, statement, error))?;
    // Columns by their place: a statement names them as it likes.
    let names: Vec<_> = (0..columns.len()).map(|place| format!("c{place}")).collect();
    let texts: Vec<_> = names.iter().map(|name| format!("CAST({name} AS VARCHAR)")).collect();
    let sql =
        format!("SELECT {} FROM ({one}) AS answer({}) LIMIT {}", texts.join(", "), names.join(", "), bounds.rows + 1);
    let mut found = Answer { columns, notes, ..Answer::default() };
    fill(&mut found, database, &sql, bounds).map_err(without_place)?;
    Ok(found)
}

/// Fetches the rows, and says where there are more than may be answered.
fn fill(found: &mut Answer, database: &Connection, sql: &str, bounds: Bounds) -> Result<(), DatabaseError> {
    let mut query = database.prepare(sql)?;
    // As a stream: no more is fetched than is answered.
    query.stream_arrow([]).map(|_| ())?;
    let mut bytes = 0;
    while let Some(batch) = query.step()? {
        // DuckDB gives VARCHAR as Utf8.
        let texts: Vec<&StringArray> = batch.columns().iter().map(|column| column.as_string::<i32>()).collect();
        for row in 0..batch.len() {
            bytes += texts.iter().map(|text| text.value(row).len()).sum::<usize>();
            if found.rows.len() == bounds.rows || bytes > bounds.bytes {
                found.is_cut = true;
                return Ok(());
            }
            found.rows.push(texts.iter().map(|text| text.is_valid(row).then(|| text.value(row).to_owned())).collect());
        }
    }
    Ok(())
}

/// Names and types of what a statement would give; nothing runs.
fn columns(database: &Connection, sql: &str) -> Result<Vec<AnswerColumn>, DatabaseError> {
    let mut query = database.prepare(&format!("DESCRIBE {sql}"))?;
    let columns = query.query_map([], |row| Ok(AnswerColumn { name: row.get(0)?, column_type: row.get(1)? }))?;
    Ok(columns.collect::<Result<_, _>>()?)
}

/// The error with the place in the statement, and not in the text around it.
///
/// The statement is prepared by itself for that, which would run all but the last of several: so it is only done where DuckDB has refused it for
/// something that it looks at after it has counted the statements, or as no SQL at all.
fn in_its_own_words(database: &Connection, statement: &str, error: DatabaseError) -> DatabaseError {
    let DatabaseError::Query(message) = &error else { return error };
    if message.contains("Expected a single SELECT statement") {
        return DatabaseError::NotOne;
    }
    let is_counted = ["Parser Error: syntax error", "Binder Error", "Catalog Error"];
    if !is_counted.iter().any(|start| message.starts_with(start)) {
        return without_place(error);
    }
    database.prepare(statement).err().map_or(error, DatabaseError::from)
}

/// The error without a line and a mark below it: they are of the text around the statement.
fn without_place(error: DatabaseError) -> DatabaseError {
    match error {
        DatabaseError::Query(message) => {
            DatabaseError::Query(message.split("\n\nLINE ").next().unwrap_or_default().to_owned())
        }
        other => other,
    }
}
