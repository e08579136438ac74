//! Rows on their way: read on one side, the same on the other, and a sum by which both are compared.

use super::end::{End, through};
use super::tables::{Kind, Table};
use crate::digest::Sha256;
use crate::mail::RemoteId;
use crate::secret::Secret;
use crate::state::db::{Error, Row, Sql, Tx, Value, text_of_id};
use anyhow::Result;
use std::borrow::Cow;

/// Octets of values that are sent together, about: no row is split.
const TOGETHER: usize = 1 << 20;

/// The value of a column, the same in both databases.
#[derive(Clone, Debug, PartialEq)]
enum Kept {
    Null,
    Int(i64),
    Text(String),
    Blob(Vec<u8>),
    Id(RemoteId),
    /// As nobody has sealed it.
    Secret(Secret),
}

/// How many rows there are, and what is in them, in any order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    pub rows: u64,
    content: u128,
}

impl Sum {
    /// Adds what has this digest.
    pub fn add(&mut self, digest: Sha256) {
        let digest = digest.finish();
        let mut octets = [0; 16];
        octets.copy_from_slice(&digest[..16]);
        self.rows += 1;
        self.content = self.content.wrapping_add(u128::from_be_bytes(octets));
    }

    fn add_row(&mut self, row: &[Kept]) {
        let mut digest = Sha256::new();
        let mut part = |tag: u8, octets: &[u8]| {
            digest.update(&[tag]);
            digest.update(&(octets.len() as u64).to_be_bytes());
            digest.update(octets);
        };
        for value in row {
            match value {
                Kept::Null => part(0, b""),
                Kept::Int(number) => part(1, &number.to_be_bytes()),
                Kept::Text(text) => part(2, text.as_bytes()),
                Kept::Blob(octets) => part(3, octets),
                // As PostgreSQL has it.
                Kept::Id(id) => part(4, plain(&text_of_id(id)).as_bytes()),
                Kept::Secret(secret) => part(5, secret.expose().as_bytes()),
            }
        }
        self.add(digest);
    }
}

/// What was read of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Read {
    pub sum: Sum,
    /// Rows whose secret cannot be had without a key, or kept: they stay behind.
    pub without_key: u64,
}

/// Reads a table of `from`, and gives each row to `take`, as it is to be in `to`.
fn read(
    table: &Table,
    from: &End,
    tx: &mut Tx<'_>,
    to: &End,
    mut take: impl FnMut(Vec<Kept>) -> Result<()>,
) -> Result<Read> {
    let mut all = Read::default();
    let text = table.select();
    // Where tokens cannot be opened, or not be sealed, they are not moved.
    let has_key = from.keeps_secrets() && to.keeps_secrets();
    through(
        |stop| {
            tx.each(&Sql::both(&text), &mut |row| {
                let values = values_of(table, row)?;
                let is_secret = |value: &Kept| matches!(value, Kept::Secret(_));
                if !has_key && values.iter().any(is_secret) {
                    all.without_key += 1;
                    return Ok(());
                }
                let values = fit(values, from, to).map_err(&mut *stop)?;
                all.sum.add_row(&values);
                take(values).map_err(&mut *stop)
            })
        },
        |err| from.fault("read", err),
    )?;
    Ok(all)
}

/// Reads a table, as it is to be in `to`, and changes nothing.
pub fn look(table: &Table, from: &End, tx: &mut Tx<'_>, to: &End) -> Result<Read> {
    read(table, from, tx, to, |_| Ok(()))
}

/// Copies a table; `done` hears of each row.
pub fn copy(
    table: &Table,
    (from, from_tx): (&End, &mut Tx<'_>),
    (to, to_tx): (&End, &mut Tx<'_>),
    done: &mut dyn FnMut(u64),
) -> Result<Read> {
    let most = to_tx.rows_together(table.columns.len());
    let mut batch = Batch {
        table,
        to,
        most,
        whole: table.insert(most),
        rows: Vec::new(),
        octets: 0,
    };
    let all = read(table, from, from_tx, to, |row| {
        batch.octets += row.iter().map(size).sum::<usize>();
        batch.rows.push(row);
        done(1);
        match batch.rows.len() >= batch.most || batch.octets >= TOGETHER {
            true => batch.write(to_tx),
            false => Ok(()),
        }
    })?;
    batch.write(to_tx)?;
    Ok(all)
}

/// Rows that are written together.
struct Batch<'a> {
    table: &'a Table,
    to: &'a End,
    most: usize,
    /// The statement of so many rows.
    whole: String,
    rows: Vec<Vec<Kept>>,
    octets: usize,
}

impl Batch<'_> {
    fn write(&mut self, tx: &mut Tx<'_>) -> Result<()> {
        let rows = std::mem::take(&mut self.rows);
        self.octets = 0;
        if rows.is_empty() {
            return Ok(());
        }
        let fewer = (rows.len() < self.most).then(|| self.table.insert(rows.len()));
        let text = fewer.as_deref().unwrap_or(&self.whole);
        let sealed: Vec<Vec<Kept>> = match self.has_secrets() {
            true => rows
                .into_iter()
                .map(|row| self.seal(row))
                .collect::<Result<_>>()?,
            false => rows,
        };
        let values: Vec<Value<'_>> = sealed.iter().flatten().map(value).collect();
        let written = tx.run(&Sql::both(text), &values);
        written
            .map(drop)
            .map_err(|err| self.to.fault("write", &err))
    }

    fn has_secrets(&self) -> bool {
        let mut kinds = self.table.columns.iter();
        kinds.any(|(_, kind)| *kind == Kind::Secret)
    }

    fn seal(&self, row: Vec<Kept>) -> Result<Vec<Kept>> {
        let key = key_of(&row);
        let seal = |value| match value {
            Kept::Secret(secret) => self.to.close(&key, &secret).map(Kept::Secret),
            value => Ok(value),
        };
        row.into_iter().map(seal).collect()
    }
}

fn values_of(table: &Table, row: &Row<'_>) -> Result<Vec<Kept>, Error> {
    let value = |(index, (_, kind)): (usize, &(&str, Kind))| {
        let value = match kind {
            Kind::Int => row.get::<Option<i64>>(index)?.map(Kept::Int),
            Kind::Text => row.get::<Option<String>>(index)?.map(Kept::Text),
            Kind::Blob => row.get::<Option<Vec<u8>>>(index)?.map(Kept::Blob),
            Kind::Id => row.get::<Option<RemoteId>>(index)?.map(Kept::Id),
            Kind::Secret => row
                .get::<Option<String>>(index)?
                .map(|text| Kept::Secret(Secret::new(text))),
        };
        Ok(value.unwrap_or(Kept::Null))
    };
    table.columns.iter().enumerate().map(value).collect()
}

/// Has a row be what the other database can hold, its secrets open.
fn fit(row: Vec<Kept>, from: &End, to: &End) -> Result<Vec<Kept>> {
    let key = key_of(&row);
    let fit = |value| {
        Ok(match value {
            Kept::Text(text) if to.is_shared() => Kept::Text(plain(&text).into_owned()),
            Kept::Secret(sealed) => Kept::Secret(from.open_secret(&key, &sealed)?),
            value => value,
        })
    };
    row.into_iter().map(fit).collect()
}

/// A text as PostgreSQL can hold it: without zero octets.
fn plain(text: &str) -> Cow<'_, str> {
    match text.contains('\0') {
        true => text.replace('\0', "\u{fffd}").into(),
        false => text.into(),
    }
}

/// What tokens are sealed for: the key of their row, its first column.
fn key_of(row: &[Kept]) -> String {
    match row.first() {
        Some(Kept::Text(key)) => key.clone(),
        _ => String::new(),
    }
}

fn size(value: &Kept) -> usize {
    match value {
        Kept::Text(text) => text.len(),
        Kept::Blob(octets) => octets.len(),
        Kept::Secret(secret) => secret.expose().len(),
        Kept::Id(_) | Kept::Int(_) | Kept::Null => 8,
    }
}

fn value(kept: &Kept) -> Value<'_> {
    match kept {
        Kept::Null => Value::Null,
        Kept::Int(number) => Value::Int(*number),
        Kept::Text(text) => Value::Text(text),
        Kept::Blob(octets) => Value::Blob(octets),
        Kept::Id(id) => Value::Id(id),
        Kept::Secret(secret) => Value::Text(secret.expose()),
    }
}
