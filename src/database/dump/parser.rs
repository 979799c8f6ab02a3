//! The statements of a dump: those that have wanted rows are read, the others passed over.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;

use super::bytes::ENDS;
use super::error::Fault;
use super::lexer::{Lexer, ROW_LIMIT};
use super::value::{Cell, Written, copied};
use super::{Column, Table};

/// Takes a row of a table, which is one of those that are wanted.
pub(super) type Sink<'a> = &'a mut dyn FnMut(usize, Vec<Cell>) -> Result<(), Fault>;

/// Reads a dump to its end.
pub(super) fn read(input: impl BufRead, tables: &[Table], sink: Sink<'_>) -> Result<(), Fault> {
    let mut parser =
        Parser { lexer: Lexer::new(input), tables, layouts: BTreeMap::new(), seen: BTreeSet::new() };
    parser.read(sink)
}

struct Parser<'a, R> {
    lexer: Lexer<R>,
    tables: &'a [Table],
    /// The columns of wanted tables, as the dump makes them.
    layouts: BTreeMap<usize, Vec<String>>,
    /// Wanted tables that the dump has.
    seen: BTreeSet<usize>,
}

impl<R: BufRead> Parser<'_, R> {
    fn read(&mut self, sink: Sink<'_>) -> Result<(), Fault> {
        self.check_form()?;
        while let Some(first) = self.lexer.skip_space()? {
            match first {
                b';' => drop(self.lexer.input.next()?),
                // A command of psql.
                b'\\' => self.lexer.input.skip_line()?,
                _ => self.statement(sink)?,
            }
        }
        if self.lexer.begun && !self.lexer.complete {
            let reason = "the dump breaks off: what says that it is complete is missing at its end";
            return Err(self.lexer.input.fault(reason));
        }
        let missing = (0..).zip(self.tables).find(|(it, table)| table.required && !self.seen.contains(it));
        missing.map_or(Ok(()), |(_, table)| {
            let help = "name the dump of the database that notary-server or notary-signer uses";
            Err(Fault::Foreign(format!("it has no table `{}`", table.name), Some(help)))
        })
    }

    /// Whether it is text at all.
    fn check_form(&mut self) -> Result<(), Fault> {
        let (reason, help) = match self.lexer.input.peek()? {
            None => ("it is empty", None),
            Some(b'P') => {
                ("it is in a form of pg_dump's own", Some("`pg_restore -f dump.sql` makes a text of it"))
            }
            Some(0x1f | 0x28 | 0xfd | b'B') => ("it is compressed", Some("uncompress it first")),
            Some(0 | 0xff | 0xfe) => ("it is not in UTF-8", None),
            Some(_) => return Ok(()),
        };
        Err(Fault::Foreign(reason.to_owned(), help))
    }

    fn statement(&mut self, sink: Sink<'_>) -> Result<(), Fault> {
        match self.lexer.word()?.as_str() {
            "insert" | "replace" => {
                let mut word = self.lexer.next_word()?;
                if word == "ignore" {
                    word = self.lexer.next_word()?;
                }
                if word != "into" {
                    return self.lexer.skip_statement();
                }
                match self.name()? {
                    Some(table) => self.insert(table, sink),
                    None => self.lexer.skip_statement(),
                }
            }
            "copy" => self.copy(sink),
            "create" => {
                let mut word = self.lexer.next_word()?;
                if word == "unlogged" {
                    word = self.lexer.next_word()?;
                }
                if word != "table" {
                    return self.lexer.skip_statement();
                }
                let table = self.name()?;
                if let Some(table) = table {
                    self.layout(table)?;
                }
                self.lexer.skip_statement()
            }
            "delimiter" => self.lexer.input.skip_line(),
            _ => self.lexer.skip_statement(),
        }
    }

    /// `INSERT INTO table [(columns)] VALUES (…), (…);`
    fn insert(&mut self, table: usize, sink: Sink<'_>) -> Result<(), Fault> {
        let columns = match self.lexer.skip_space()? {
            Some(b'(') => self.names()?,
            _ => self.layouts.get(&table).cloned().ok_or_else(|| {
                self.lexer
                    .input
                    .fault("rows come without the names of their columns, and before their table is made")
            })?,
        };
        let places = self.places(table, &columns)?;
        // PostgreSQL has words in between for identity columns.
        let mut words = 0;
        while self.lexer.next_word()? != "values" {
            words += 1;
            if 3 < words {
                return Err(self.lexer.input.fault("rows are not given as values"));
            }
        }
        loop {
            self.lexer.expect(b'(')?;
            let mut values = Vec::with_capacity(columns.len());
            loop {
                self.lexer.skip_space()?;
                let value = self.lexer.value()?;
                if columns.len() <= values.len() {
                    return Err(self.lexer.input.fault("a row has more values than columns"));
                }
                values.push(value);
                if !self.lexer.separated(b')')? {
                    break;
                }
            }
            self.row(table, &columns, &places, values, sink)?;
            if !self.lexer.separated(b';')? {
                return Ok(());
            }
        }
    }

    /// `COPY table (columns) FROM stdin;` and the lines behind it.
    fn copy(&mut self, sink: Sink<'_>) -> Result<(), Fault> {
        let table = self.name()?;
        let columns = match self.lexer.skip_space()? {
            Some(b'(') => self.names()?,
            _ => Vec::new(),
        };
        if self.lexer.next_word()? != "from" || self.lexer.next_word()? != "stdin" {
            return self.lexer.skip_statement();
        }
        self.lexer.skip_statement()?;
        self.lexer.input.skip_line()?;
        let places = table.map(|table| self.places(table, &columns)).transpose()?;
        loop {
            if self.lexer.input.peek()?.is_none() {
                return Err(self.lexer.input.fault(ENDS));
            }
            if places.is_none() {
                if self.copied_line_ends()? {
                    return Ok(());
                }
                continue;
            }
            let line = self.lexer.input.line();
            let mut row = Vec::new();
            self.lexer.input.until(b"\n", ROW_LIMIT, &mut row)?;
            if !self.lexer.input.take(b'\n')? && row != b"\\." {
                return Err(self.lexer.input.fault(ENDS));
            }
            if row == b"\\." {
                return Ok(());
            }
            let fields: Option<Vec<Written>> = row.split(|it| *it == b'\t').map(copied).collect();
            let fields =
                fields.ok_or_else(|| Fault::Line(line, "a value has a backslash too many".to_owned()))?;
            if let (Some(table), Some(places)) = (table, &places) {
                self.row(table, &columns, places, fields, sink).map_err(|it| it.at(line))?;
            }
        }
    }

    /// Passes a line of a table over that nobody wants; whether it was the one after the last row.
    fn copied_line_ends(&mut self) -> Result<bool, Fault> {
        if !self.lexer.input.take(b'\\')? {
            self.lexer.input.skip_line()?;
            return Ok(false);
        }
        let last =
            self.lexer.input.take(b'.')? && matches!(self.lexer.input.peek()?, None | Some(b'\n' | b'\r'));
        self.lexer.input.skip_line()?;
        Ok(last)
    }

    fn row(
        &mut self,
        table: usize,
        columns: &[String],
        places: &[usize],
        values: Vec<Written>,
        sink: Sink<'_>,
    ) -> Result<(), Fault> {
        if values.len() != columns.len() {
            let reason = format!("a row has {} values for {} columns", values.len(), columns.len());
            return Err(self.lexer.input.fault(reason));
        }
        let mut values: Vec<Option<Written>> = values.into_iter().map(Some).collect();
        let mut cells = Vec::with_capacity(places.len());
        for (column, place) in self.columns(table).iter().zip(places) {
            let value = values.get_mut(*place).and_then(Option::take).unwrap_or(Written::Null);
            cells.push(value.cell(column, self.lexer.mysql).map_err(|it| self.lexer.input.fault(it))?);
        }
        sink(table, cells)
    }

    fn columns(&self, table: usize) -> &'static [Column] {
        self.tables.get(table).map_or(&[], |it| it.columns)
    }

    /// Where the wanted columns are among those that there are.
    fn places(&mut self, table: usize, columns: &[String]) -> Result<Vec<usize>, Fault> {
        self.seen.insert(table);
        let place = |wanted: &Column| columns.iter().position(|it| it == wanted.name).ok_or(wanted.name);
        let places: Result<Vec<usize>, &str> = self.columns(table).iter().map(place).collect();
        places.map_err(|name| self.lexer.input.fault(format!("the table has no column `{name}`")))
    }

    /// The columns of `CREATE TABLE`; the rest of the statement is left.
    fn layout(&mut self, table: usize) -> Result<(), Fault> {
        self.seen.insert(table);
        if self.lexer.skip_space()? != Some(b'(') {
            return Ok(());
        }
        self.lexer.input.next()?;
        let mut columns = Vec::new();
        loop {
            let first = self.lexer.skip_space()?;
            let quoted = matches!(first, Some(b'`' | b'"'));
            let name = if quoted { self.lexer.quoted_name()? } else { self.lexer.word()? };
            if quoted || !CONSTRAINTS.contains(&name.as_str()) {
                columns.push(name);
            }
            if COLUMN_LIMIT < columns.len() {
                return Err(self.lexer.input.fault("a table has too many columns"));
            }
            if self.end_of_item()? {
                self.layouts.insert(table, columns);
                return Ok(());
            }
        }
    }

    /// Passes over what stands before the next comma of this level; whether the list ends there.
    fn end_of_item(&mut self) -> Result<bool, Fault> {
        let mut depth = 0_u64;
        loop {
            self.lexer.skip_space()?;
            match self.lexer.input.need()? {
                b'(' => depth += 1,
                b')' if depth == 0 => return Ok(true),
                b')' => depth -= 1,
                b',' if depth == 0 => return Ok(false),
                quote @ (b'\'' | b'"' | b'`') => self.lexer.skip_quoted(quote)?,
                _ => {}
            }
        }
    }

    /// `(a, b, c)`.
    fn names(&mut self) -> Result<Vec<String>, Fault> {
        self.lexer.expect(b'(')?;
        let mut names = Vec::new();
        loop {
            let quoted = matches!(self.lexer.skip_space()?, Some(b'`' | b'"'));
            names.push(if quoted { self.lexer.quoted_name()? } else { self.lexer.word()? });
            if COLUMN_LIMIT < names.len() {
                return Err(self.lexer.input.fault("a table has too many columns"));
            }
            if !self.lexer.separated(b')')? {
                return Ok(names);
            }
        }
    }

    /// The name of a table, perhaps behind that of its schema: which of the wanted ones it is.
    fn name(&mut self) -> Result<Option<usize>, Fault> {
        loop {
            let first = self.lexer.skip_space()?;
            if first == Some(b'`') {
                self.lexer.mysql = true;
            }
            let quoted = matches!(first, Some(b'`' | b'"'));
            let name = if quoted { self.lexer.quoted_name()? } else { self.lexer.word()? };
            if !quoted && matches!(name.as_str(), "if" | "not" | "exists" | "only") {
                continue;
            }
            if !self.lexer.input.take(b'.')? {
                return Ok(self.tables.iter().position(|it| it.name == name));
            }
        }
    }
}

impl Fault {
    /// The same, of this line.
    fn at(self, line: u64) -> Self {
        match self {
            Self::Line(_, reason) => Self::Line(line, reason),
            other => other,
        }
    }
}

/// What starts an item of `CREATE TABLE` that is no column.
const CONSTRAINTS: [&str; 11] = [
    "primary",
    "unique",
    "key",
    "index",
    "constraint",
    "foreign",
    "check",
    "fulltext",
    "spatial",
    "exclude",
    "like",
];
/// The tables here have a dozen.
const COLUMN_LIMIT: usize = 256;
