//! Tables of comma-separated values, row by row; a row that is broken does not end the table.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use crate::error::{Failure, Kind};

/// A table that is being read.
pub(super) struct Table {
    reader: csv::Reader<File>,
    columns: Arc<BTreeMap<String, usize>>,
}

/// One row; its columns are found by name, and without space around their values.
pub(super) struct Row {
    columns: Arc<BTreeMap<String, usize>>,
    values: csv::StringRecord,
}

impl Table {
    /// Begins to read.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let broken = |error: csv::Error| {
            let message = format!("Cannot read {}: {error}", path.display());
            Failure::new(Kind::Input, "table", message).hint("Check that it is a table in CSV")
        };
        let mut reader = csv::ReaderBuilder::new()
            .flexible(true)
            // A \r in front goes with the space around values; as a terminator it would end a line of its own.
            .terminator(csv::Terminator::Any(b'\n'))
            .trim(csv::Trim::All)
            .from_path(path)
            .map_err(broken)?;
        let head = reader.headers().map_err(broken)?;
        let columns = head.iter().enumerate();
        let named = columns.map(|(at, name)| (name.trim_start_matches('\u{feff}').to_owned(), at));
        Ok(Self { columns: Arc::new(named.collect()), reader })
    }

    /// The next row with its line, or what is wrong with it.
    pub(super) fn next(&mut self) -> Option<(u64, Result<Row, String>)> {
        let mut values = csv::StringRecord::new();
        let line = self.reader.position().line();
        let read = match self.reader.read_record(&mut values) {
            Ok(false) => return None,
            Ok(true) if values.len() != self.columns.len() => {
                Err(format!("{} values where the head has {}", values.len(), self.columns.len()))
            }
            Ok(true) => Ok(Row { columns: Arc::clone(&self.columns), values: values.clone() }),
            Err(error) => Err(broken(&error)),
        };
        // Where the table is read again after a mistake, the line is that of the row.
        let line = values.position().map_or(line, csv::Position::line);
        Some((line, read))
    }
}

/// What is wrong, without where: that is told beside it.
fn broken(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::Utf8 { .. } => "it is not UTF-8 text".to_owned(),
        _ => error.to_string(),
    }
}

impl Row {
    /// The value of a column, if there is one.
    pub(super) fn get(&self, column: &str) -> Option<&str> {
        let value = self.values.get(*self.columns.get(column)?)?;
        (!value.is_empty()).then_some(value)
    }

    /// The same, where nothing can be done without it.
    pub(super) fn need(&self, column: &str) -> Result<&str, String> {
        self.get(column).ok_or_else(|| match self.columns.contains_key(column) {
            true => format!("{column} is empty"),
            false => format!("the table has no column {column}"),
        })
    }
}
