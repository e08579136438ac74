//! What is asked and done on one connection: in a transaction, as much as can be is sent together.

use super::super::{Durable, Error, Fence, Row, Sql, Value};
use super::connection::{Connection, Door};
use super::request::{Answer, Columns, Request, params, text};
use std::cell::{Cell, RefCell};
use std::time::Duration;

/// Values of one statement at most: the wire counts them in 16 bits.
pub const MOST_VALUES: usize = 30_000;

/// So many statements are sent before their answers are waited for.
const TOGETHER: usize = 1_000;

/// One statement has so many rows of values at most: those of a batch of messages.
const ROWS: usize = 1_000;

/// How long a statement waits for a row that another transaction has changed. That one is soon
/// over, or its process is gone.
const LOCK: Duration = Duration::from_secs(5);

/// Where nobody is at the other end any more, the server finds out in 25 seconds, and undoes what was
/// begun.
const ALIVE: &str = "SET LOCAL tcp_keepalives_idle = 10; SET LOCAL tcp_keepalives_interval = 5; SET LOCAL tcp_keepalives_count = 3";

/// Statements on one connection.
pub struct Session<'c> {
    connection: &'c Connection,
    /// Sent with what is asked next.
    waiting: RefCell<Vec<Request>>,
    /// Something was sent.
    began: Cell<bool>,
    /// What the transaction ends with; `None` once it has.
    end: Cell<Option<Vec<Request>>>,
    is_repeat: bool,
}

impl<'c> Session<'c> {
    /// Each statement for itself.
    pub fn new(connection: &'c Connection) -> Session<'c> {
        Session {
            connection,
            waiting: RefCell::default(),
            began: Cell::new(false),
            end: Cell::default(),
            is_repeat: false,
        }
    }

    /// All of them in a transaction, of which no statement takes longer than `wait`; before it ends,
    /// the fence is looked at.
    pub fn begin(
        connection: &'c Connection,
        durable: Durable,
        fence: Option<&Fence>,
        wait: Duration,
        is_repeat: bool,
    ) -> Session<'c> {
        // Ahead of the program's own end of waiting, so that the server says what it was.
        let statement = wait.mul_f32(0.9).as_millis();
        let lock = LOCK.min(wait / 2).as_millis();
        let passing = match durable {
            Durable::Now => "",
            Durable::InPassing => "; SET LOCAL synchronous_commit = off",
        };
        let begin = format!(
            "BEGIN; SET LOCAL statement_timeout = {statement}; SET LOCAL lock_timeout = {lock}; {ALIVE}{passing}"
        );
        let mut end = Vec::new();
        if let Some(Fence { name, number }) = fence {
            let values = [Value::Text(name), Value::Int(*number)];
            end.push(Request::run("SELECT queuemail_fence($1, $2)", &values));
        }
        end.push(Request::Plain("COMMIT".to_owned()));
        Session {
            connection,
            waiting: RefCell::new(vec![Request::Plain(begin)]),
            began: Cell::new(false),
            end: Cell::new(Some(end)),
            is_repeat,
        }
    }

    /// Ends the transaction, unless it has ended.
    pub fn commit(&self) -> Result<(), Error> {
        let is_empty = !self.began.get() && self.waiting.borrow().len() <= 1;
        match self.end.take() {
            Some(end) if !is_empty => self.ask(end).map(drop),
            _ => Ok(()),
        }
    }

    /// Asks all of these in one way to the server and back.
    pub fn all(
        &self,
        all: &[(&Sql<'_>, &[Value<'_>])],
        of: &mut dyn FnMut(usize, &Row<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.ask_all(all, Vec::new(), of)
    }

    /// The same, and ends the transaction.
    pub fn last(
        &self,
        all: &[(&Sql<'_>, &[Value<'_>])],
        of: &mut dyn FnMut(usize, &Row<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.ask_all(all, self.end.take().unwrap_or_default(), of)
    }

    fn ask_all(
        &self,
        all: &[(&Sql<'_>, &[Value<'_>])],
        end: Vec<Request>,
        of: &mut dyn FnMut(usize, &Row<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let asked = all
            .iter()
            .map(|(sql, values)| Request::Rows(text(sql), params(values)));
        let requests = asked.chain(end).collect();
        for (number, answer) in self.ask(requests)?.iter().enumerate() {
            for row in answer.rows() {
                of(number, &Row::Postgres(row))?;
            }
        }
        Ok(())
    }

    /// Undoes the transaction.
    pub fn undo(&self) {
        self.waiting.take();
        if self.began.get() && !self.connection.is_broken() {
            // If this fails, the connection has broken, and the server undoes it.
            let _ = self
                .connection
                .ask(&[Request::Plain("ROLLBACK".to_owned())]);
        }
    }

    /// Sends what waits and these; gives the answers to these.
    fn ask(&self, last: Vec<Request>) -> Result<Vec<Answer>, Error> {
        let mut requests = self.waiting.take();
        let ahead = requests.len();
        requests.extend(last);
        self.began.set(true);
        let mut answers = self.connection.ask(&requests)?;
        Ok(answers.split_off(ahead))
    }

    fn ask_rows(&self, sql: &Sql, values: &[Value<'_>]) -> Result<Vec<super::Row>, Error> {
        let answers = self.ask(vec![Request::Rows(text(sql), params(values))])?;
        Ok(match answers.into_iter().next() {
            Some(Answer::Rows(rows)) => rows,
            _ => Vec::new(),
        })
    }

    pub fn rows<T, All: FromIterator<T>>(
        &self,
        sql: &Sql,
        values: &[Value<'_>],
        mut of: impl FnMut(&Row<'_>) -> Result<T, Error>,
    ) -> Result<All, Error> {
        let rows = self.ask_rows(sql, values)?;
        rows.iter().map(|row| of(&Row::Postgres(row))).collect()
    }

    pub fn row<T>(
        &self,
        sql: &Sql,
        values: &[Value<'_>],
        of: impl FnOnce(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        let rows = self.ask_rows(sql, values)?;
        rows.first().map(|row| of(&Row::Postgres(row))).transpose()
    }

    pub fn row_of_each<'v, T, const N: usize>(
        &self,
        sql: &Sql,
        mut many: impl Iterator<Item = [Value<'v>; N]>,
        mut of: impl FnMut(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Vec<Option<T>>, Error> {
        let mut found: Vec<Option<T>> = Vec::new();
        while let Some(columns) = Columns::of(&mut many, ROWS)? {
            let before = found.len();
            found.resize_with(before + columns.rows(), || None);
            let answers = self.ask(vec![Request::Rows(text(sql), columns.params())])?;
            for row in answers.first().map(Answer::rows).unwrap_or_default() {
                let last = row.len().saturating_sub(1);
                let row = Row::Postgres(row);
                let number: i64 = row.get(last)?;
                let place = usize::try_from(number).ok().and_then(|n| n.checked_sub(1));
                let place = place.and_then(|place| found.get_mut(before + place));
                *place.ok_or_else(|| row.spoilt(last, number))? = Some(of(&row)?);
            }
        }
        Ok(found)
    }

    pub fn run(&self, sql: &Sql, values: &[Value<'_>]) -> Result<u64, Error> {
        let answers = self.ask(vec![Request::Run(text(sql), params(values))])?;
        Ok(changed(&answers))
    }

    pub fn many<'v, const N: usize>(
        &self,
        sql: &Sql,
        mut many: impl Iterator<Item = [Value<'v>; N]>,
    ) -> Result<u64, Error> {
        let mut count = 0;
        while let Some(columns) = Columns::of(&mut many, ROWS)? {
            count += changed(&self.ask(vec![Request::Run(text(sql), columns.params())])?);
        }
        Ok(count)
    }

    pub fn later(&self, sql: &Sql, values: &[Value<'_>]) -> Result<(), Error> {
        self.push(Request::Run(text(sql), params(values)))
    }

    pub fn many_later<'v, const N: usize>(
        &self,
        sql: &Sql,
        mut many: impl Iterator<Item = [Value<'v>; N]>,
    ) -> Result<(), Error> {
        while let Some(columns) = Columns::of(&mut many, ROWS)? {
            self.push(Request::Run(text(sql), columns.params()))?;
        }
        Ok(())
    }

    /// By a cursor, a thousand rows at a time.
    pub fn each(
        &self,
        sql: &Sql<'_>,
        of: &mut dyn FnMut(&Row<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        const FETCH: Sql = Sql::postgres("FETCH 1000 FROM each_row");
        let declare = format!("DECLARE each_row NO SCROLL CURSOR FOR {}", text(sql));
        self.push(Request::Plain(declare))?;
        loop {
            let rows = self.ask_rows(&FETCH, &[])?;
            if rows.is_empty() {
                return self.push(Request::Plain("CLOSE each_row".to_owned()));
            }
            for row in &rows {
                of(&Row::Postgres(row))?;
            }
        }
    }

    pub fn script(&self, text: &str) -> Result<(), Error> {
        self.ask(vec![Request::Plain(text.to_owned())]).map(drop)
    }

    pub fn alone(&self, name: &str) -> Result<(), Error> {
        const ALONE: &str = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";
        self.push(Request::run(ALONE, &[Value::Text(name)]))
    }

    pub fn is_repeat(&self) -> bool {
        self.is_repeat
    }

    /// How the server is reached.
    pub fn door(&self) -> &Door {
        &self.connection.door
    }

    /// See [`Connection::is_pooled`].
    pub fn is_pooled(&self) -> Result<bool, Error> {
        Ok(self.connection.is_pooled()?)
    }

    fn push(&self, request: Request) -> Result<(), Error> {
        self.waiting.borrow_mut().push(request);
        let is_full = self.waiting.borrow().len() >= TOGETHER;
        match is_full {
            true => self.ask(Vec::new()).map(drop),
            false => Ok(()),
        }
    }
}

fn changed(answers: &[Answer]) -> u64 {
    let changed = |answer: &Answer| match answer {
        Answer::Changed(count) => *count,
        _ => 0,
    };
    answers.iter().map(changed).sum()
}
