//! The tables, in SQLite and in PostgreSQL.

pub mod postgres;
pub mod sqlite;
