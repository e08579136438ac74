//! A statement on its way to a server, and its answer.

use super::super::cell::{Cell, text_of_id};
use super::super::{Error, Sql, Value};
use std::error::Error as StdError;
use std::rc::Rc;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type};
use tokio_postgres::{Client, Row};

/// What a server is sent.
#[derive(Clone, Debug)]
pub enum Request {
    /// Statements without values, whose answers are not looked at.
    Plain(String),
    /// A statement that gives rows.
    Rows(Rc<str>, Vec<Param>),
    /// A statement that changes rows.
    Run(Rc<str>, Vec<Param>),
}

/// What came of it.
pub enum Answer {
    Done,
    Rows(Vec<Row>),
    /// So many rows were changed.
    Changed(u64),
}

impl Answer {
    pub fn rows(&self) -> &[Row] {
        match self {
            Answer::Rows(rows) => rows,
            _ => &[],
        }
    }
}

impl Request {
    pub fn rows(text: &str, values: &[Value<'_>]) -> Request {
        Request::Rows(text.into(), params(values))
    }

    pub fn run(text: &str, values: &[Value<'_>]) -> Request {
        Request::Run(text.into(), params(values))
    }

    /// Sends it as soon as this is first polled. The statement gets no name, and nothing stays in
    /// the session.
    pub async fn send(&self, client: &Client) -> Result<Answer, tokio_postgres::Error> {
        match self {
            Request::Plain(text) => client.batch_execute(text).await.map(|()| Answer::Done),
            Request::Rows(text, params) => {
                let rows = client.query_typed(text, &typed(params)).await?;
                Ok(Answer::Rows(rows))
            }
            Request::Run(text, params) => {
                let changed = client.execute_typed(text, &typed(params)).await?;
                Ok(Answer::Changed(changed))
            }
        }
    }
}

/// The text of a statement, its values as PostgreSQL names them.
pub fn text(sql: &Sql) -> Rc<str> {
    sql.postgres.replace('?', "$").into()
}

/// A value on its way, or a column of many rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Param {
    Null,
    Int(i64),
    Text(String),
    Blob(Vec<u8>),
    Ints(Vec<Option<i64>>),
    Texts(Vec<Option<String>>),
    Blobs(Vec<Option<Vec<u8>>>),
}

fn param(value: &Value<'_>) -> Param {
    match value {
        Value::Null => Param::Null,
        Value::Int(value) => Param::Int(*value),
        // The server has no zero octet in a text.
        Value::Text(text) => Param::Text(text.replace('\0', "\u{fffd}")),
        Value::Id(id) => Param::Text(text_of_id(id).replace('\0', "\u{fffd}")),
        Value::Blob(octets) => Param::Blob(octets.to_vec()),
    }
}

pub fn params(values: &[Value<'_>]) -> Vec<Param> {
    values.iter().map(param).collect()
}

/// Many rows of values for one statement, each column of which is an array.
pub struct Columns {
    rows: usize,
    columns: Vec<Param>,
}

impl Columns {
    /// The next rows, so many at most; `None`: there are no more.
    pub fn of<'v, const N: usize>(
        many: &mut impl Iterator<Item = [Value<'v>; N]>,
        most: usize,
    ) -> Result<Option<Columns>, Error> {
        let mut all = Columns {
            rows: 0,
            columns: vec![Param::Null; N],
        };
        for values in many.take(most) {
            for (column, value) in all.columns.iter_mut().zip(&values) {
                put(column, all.rows, param(value))?;
            }
            all.rows += 1;
        }
        Ok((all.rows > 0).then_some(all))
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    pub fn params(self) -> Vec<Param> {
        self.columns
    }
}

/// Puts a value behind the `rows` that a column has. One of which all are NULL is so itself: `unnest`
/// makes it as long as the others.
fn put(column: &mut Param, rows: usize, value: Param) -> Result<(), Error> {
    if let Param::Null = column {
        *column = match &value {
            Param::Null => return Ok(()),
            Param::Int(_) => Param::Ints(vec![None; rows]),
            Param::Text(_) => Param::Texts(vec![None; rows]),
            _ => Param::Blobs(vec![None; rows]),
        };
    }
    match (column, value) {
        (Param::Ints(all), Param::Null) => all.push(None),
        (Param::Ints(all), Param::Int(value)) => all.push(Some(value)),
        (Param::Texts(all), Param::Null) => all.push(None),
        (Param::Texts(all), Param::Text(value)) => all.push(Some(value)),
        (Param::Blobs(all), Param::Null) => all.push(None),
        (Param::Blobs(all), Param::Blob(value)) => all.push(Some(value)),
        _ => return Err(Error::Spoilt("values of one column differ".to_owned())),
    }
    Ok(())
}

fn typed(params: &[Param]) -> Vec<(&(dyn ToSql + Sync), Type)> {
    let typed = |param: &'_ Param| match param {
        // What it is follows from its place in the statement.
        Param::Null => Type::UNKNOWN,
        Param::Int(_) => Type::INT8,
        Param::Text(_) => Type::TEXT,
        Param::Blob(_) => Type::BYTEA,
        Param::Ints(_) => Type::INT8_ARRAY,
        Param::Texts(_) => Type::TEXT_ARRAY,
        Param::Blobs(_) => Type::BYTEA_ARRAY,
    };
    params
        .iter()
        .map(|param| (param as &(dyn ToSql + Sync), typed(param)))
        .collect()
}

type Failure = Box<dyn StdError + Sync + Send>;

impl ToSql for Param {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Failure> {
        match self {
            Param::Null => Ok(IsNull::Yes),
            Param::Int(value) => value.to_sql(ty, out),
            Param::Text(text) => text.as_str().to_sql(ty, out),
            Param::Blob(octets) => octets.as_slice().to_sql(ty, out),
            Param::Ints(all) => all.to_sql(ty, out),
            Param::Texts(all) => all.to_sql(ty, out),
            Param::Blobs(all) => all.to_sql(ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn to_sql_checked(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Failure> {
        self.to_sql(ty, out)
    }
}

impl<'r> FromSql<'r> for Cell<'r> {
    fn from_sql(ty: &Type, octets: &'r [u8]) -> Result<Cell<'r>, Failure> {
        Ok(match *ty {
            Type::INT8 => Cell::Int(i64::from_sql(ty, octets)?),
            Type::INT4 => Cell::Int(i32::from_sql(ty, octets)?.into()),
            Type::INT2 => Cell::Int(i16::from_sql(ty, octets)?.into()),
            Type::BOOL => Cell::Int(bool::from_sql(ty, octets)?.into()),
            Type::BYTEA => Cell::Blob(octets),
            _ => Cell::Text(<&str>::from_sql(ty, octets)?),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Cell<'r>, Failure> {
        Ok(Cell::Null)
    }

    fn accepts(ty: &Type) -> bool {
        [Type::INT8, Type::INT4, Type::INT2, Type::BOOL, Type::BYTEA].contains(ty)
            || <&str as FromSql>::accepts(ty)
    }
}

/// What stands in a column.
pub fn cell(row: &Row, column: usize) -> Result<Cell<'_>, Error> {
    row.try_get(column)
        .map_err(|e| Error::Spoilt(e.to_string()))
}
