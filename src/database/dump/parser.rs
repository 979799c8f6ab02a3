//! The statements of a dump: those that have wanted rows are read, the others passed over.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufRead;

use super::bytes::{Bytes, ENDS};
use super::error::Fault;
use super::value::{Cell, Written, copied, escaped};
use super::{Column, Table};

/// Takes a row of a table, which is one of those that are wanted.
pub(super) type Sink<'a> = &'a mut dyn FnMut(usize, Vec<Cell>) -> Result<(), Fault>;

/// Reads a dump to its end.
pub(super) fn read(input: impl BufRead, tables: &[Table], sink: Sink<'_>) -> Result<(), Fault> {
    let mut parser = Parser {
        input: Bytes::new(input),
        tables,
        layouts: BTreeMap::new(),
        seen: BTreeSet::new(),
        mysql: false,
        begun: false,
        complete: false,
    };
    parser.read(sink)
}

struct Parser<'a, R> {
    input: Bytes<R>,
    tables: &'a [Table],
    /// The columns of wanted tables, as the dump makes them.
    layouts: BTreeMap<usize, Vec<String>>,
    /// Wanted tables that the dump has.
    seen: BTreeSet<usize>,
    /// Whether a backslash hides what is behind it in every text.
    mysql: bool,
    /// Whether it says that it is a dump, and that it is a whole one.
    begun: bool,
    complete: bool,
}

impl<R: BufRead> Parser<'_, R> {
    fn read(&mut self, sink: Sink<'_>) -> Result<(), Fault> {
        self.check_form()?;
        while let Some(first) = self.skip_space()? {
            match first {
                b';' => drop(self.input.next()?),
                // A command of psql.
                b'\\' => self.input.skip_line()?,
                _ => self.statement(sink)?,
            }
        }
        if self.begun && !self.complete {
            let reason = "the dump breaks off: what says that it is complete is missing at its end";
            return Err(self.input.fault(reason));
        }
        let missing = (0..).zip(self.tables).find(|(it, table)| table.required && !self.seen.contains(it));
        missing.map_or(Ok(()), |(_, table)| {
            let help = "name the dump of the database that notary-server or notary-signer uses";
            Err(Fault::Foreign(format!("it has no table `{}`", table.name), Some(help)))
        })
    }

    /// Whether it is text at all.
    fn check_form(&mut self) -> Result<(), Fault> {
        let (reason, help) = match self.input.peek()? {
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
        match self.word()?.as_str() {
            "insert" | "replace" => {
                let mut word = self.next_word()?;
                if word == "ignore" {
                    word = self.next_word()?;
                }
                if word != "into" {
                    return self.skip_statement();
                }
                match self.name()? {
                    Some(table) => self.insert(table, sink),
                    None => self.skip_statement(),
                }
            }
            "copy" => self.copy(sink),
            "create" => {
                let mut word = self.next_word()?;
                if word == "unlogged" {
                    word = self.next_word()?;
                }
                if word != "table" {
                    return self.skip_statement();
                }
                let table = self.name()?;
                if let Some(table) = table {
                    self.layout(table)?;
                }
                self.skip_statement()
            }
            "delimiter" => self.input.skip_line(),
            _ => self.skip_statement(),
        }
    }

    /// `INSERT INTO table [(columns)] VALUES (…), (…);`
    fn insert(&mut self, table: usize, sink: Sink<'_>) -> Result<(), Fault> {
        let columns = match self.skip_space()? {
            Some(b'(') => self.names()?,
            _ => self.layouts.get(&table).cloned().ok_or_else(|| {
                self.input
                    .fault("rows come without the names of their columns, and before their table is made")
            })?,
        };
        let places = self.places(table, &columns)?;
        // PostgreSQL has words in between for identity columns.
        let mut words = 0;
        while self.next_word()? != "values" {
            words += 1;
            if 3 < words {
                return Err(self.input.fault("rows are not given as values"));
            }
        }
        loop {
            self.expect(b'(')?;
            let mut values = Vec::with_capacity(columns.len());
            loop {
                self.skip_space()?;
                let value = self.value()?;
                if columns.len() <= values.len() {
                    return Err(self.input.fault("a row has more values than columns"));
                }
                values.push(value);
                if !self.separated(b')')? {
                    break;
                }
            }
            self.row(table, &columns, &places, values, sink)?;
            if !self.separated(b';')? {
                return Ok(());
            }
        }
    }

    /// `COPY table (columns) FROM stdin;` and the lines behind it.
    fn copy(&mut self, sink: Sink<'_>) -> Result<(), Fault> {
        let table = self.name()?;
        let columns = match self.skip_space()? {
            Some(b'(') => self.names()?,
            _ => Vec::new(),
        };
        if self.next_word()? != "from" || self.next_word()? != "stdin" {
            return self.skip_statement();
        }
        self.skip_statement()?;
        self.input.skip_line()?;
        let places = table.map(|table| self.places(table, &columns)).transpose()?;
        loop {
            if self.input.peek()?.is_none() {
                return Err(self.input.fault(ENDS));
            }
            if places.is_none() {
                if self.copied_line_ends()? {
                    return Ok(());
                }
                continue;
            }
            let line = self.input.line();
            let mut row = Vec::new();
            self.input.until(b"\n", ROW_LIMIT, &mut row)?;
            if !self.input.take(b'\n')? && row != b"\\." {
                return Err(self.input.fault(ENDS));
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
        if !self.input.take(b'\\')? {
            self.input.skip_line()?;
            return Ok(false);
        }
        let last = self.input.take(b'.')? && matches!(self.input.peek()?, None | Some(b'\n' | b'\r'));
        self.input.skip_line()?;
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
            return Err(self.input.fault(reason));
        }
        let mut values: Vec<Option<Written>> = values.into_iter().map(Some).collect();
        let mut cells = Vec::with_capacity(places.len());
        for (column, place) in self.columns(table).iter().zip(places) {
            let value = values.get_mut(*place).and_then(Option::take).unwrap_or(Written::Null);
            cells.push(value.cell(column, self.mysql).map_err(|it| self.input.fault(it))?);
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
        places.map_err(|name| self.input.fault(format!("the table has no column `{name}`")))
    }

    /// The columns of `CREATE TABLE`; the rest of the statement is left.
    fn layout(&mut self, table: usize) -> Result<(), Fault> {
        self.seen.insert(table);
        if self.skip_space()? != Some(b'(') {
            return Ok(());
        }
        self.input.next()?;
        let mut columns = Vec::new();
        loop {
            let first = self.skip_space()?;
            let quoted = matches!(first, Some(b'`' | b'"'));
            let name = if quoted { self.quoted_name()? } else { self.word()? };
            if quoted || !CONSTRAINTS.contains(&name.as_str()) {
                columns.push(name);
            }
            if COLUMN_LIMIT < columns.len() {
                return Err(self.input.fault("a table has too many columns"));
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
            self.skip_space()?;
            match self.input.need()? {
                b'(' => depth += 1,
                b')' if depth == 0 => return Ok(true),
                b')' => depth -= 1,
                b',' if depth == 0 => return Ok(false),
                quote @ (b'\'' | b'"' | b'`') => self.skip_quoted(quote)?,
                _ => {}
            }
        }
    }

    /// `(a, b, c)`.
    fn names(&mut self) -> Result<Vec<String>, Fault> {
        self.expect(b'(')?;
        let mut names = Vec::new();
        loop {
            let quoted = matches!(self.skip_space()?, Some(b'`' | b'"'));
            names.push(if quoted { self.quoted_name()? } else { self.word()? });
            if COLUMN_LIMIT < names.len() {
                return Err(self.input.fault("a table has too many columns"));
            }
            if !self.separated(b')')? {
                return Ok(names);
            }
        }
    }

    /// The name of a table, perhaps behind that of its schema: which of the wanted ones it is.
    fn name(&mut self) -> Result<Option<usize>, Fault> {
        loop {
            let first = self.skip_space()?;
            if first == Some(b'`') {
                self.mysql = true;
            }
            let quoted = matches!(first, Some(b'`' | b'"'));
            let name = if quoted { self.quoted_name()? } else { self.word()? };
            if !quoted && matches!(name.as_str(), "if" | "not" | "exists" | "only") {
                continue;
            }
            if !self.input.take(b'.')? {
                return Ok(self.tables.iter().position(|it| it.name == name));
            }
        }
    }

    fn quoted_name(&mut self) -> Result<String, Fault> {
        let quote = self.input.need()?;
        let mut name = Vec::new();
        self.input.until(&[quote], NAME_LIMIT, &mut name)?;
        self.input.need()?;
        String::from_utf8(name).map_err(|_| self.input.fault("a name is not UTF-8"))
    }

    fn next_word(&mut self) -> Result<String, Fault> {
        self.skip_space()?;
        self.word()
    }

    /// A word in lower case. Something that is none is passed over and empty.
    fn word(&mut self) -> Result<String, Fault> {
        let mut word = String::new();
        while let Some(byte) = self.input.peek()? {
            if !(byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$') {
                break;
            }
            if NAME_LIMIT < word.len() {
                return Err(self.input.fault("a word has no end"));
            }
            word.push(char::from(byte.to_ascii_lowercase()));
            self.input.next()?;
        }
        if word.is_empty() {
            // Whoever asks again must find something else.
            match self.input.peek()? {
                None => return Err(self.input.fault(ENDS)),
                Some(b'(' | b')' | b';' | b',' | b'\'' | b'"' | b'`' | b'\\' | b'$') => {}
                Some(_) => drop(self.input.next()?),
            }
        }
        Ok(word)
    }

    /// Whether the list goes on with a comma, or ends with this.
    fn separated(&mut self, end: u8) -> Result<bool, Fault> {
        self.skip_space()?;
        match self.input.need()? {
            b',' => Ok(true),
            byte if byte == end => Ok(false),
            byte => Err(self.input.fault(unexpected(byte))),
        }
    }

    fn expect(&mut self, expected: u8) -> Result<(), Fault> {
        self.skip_space()?;
        match self.input.need()? {
            byte if byte == expected => Ok(()),
            byte => Err(self.input.fault(unexpected(byte))),
        }
    }

    fn value(&mut self) -> Result<Written, Fault> {
        match self.input.peek()?.ok_or_else(|| self.input.fault(ENDS))? {
            b'\'' => {
                let text = self.text(self.mysql)?;
                self.skip_cast()?;
                Ok(Written::Text(text))
            }
            b'"' if self.mysql => self.text(true).map(Written::Text),
            b'0'..=b'9' | b'-' | b'+' | b'.' => self.number(),
            // Which characters bytes stand for is said before them.
            b'_' => {
                self.word()?;
                self.skip_space()?;
                self.value()
            }
            _ => {
                let word = self.word()?;
                let quoted = self.input.peek()? == Some(b'\'');
                match (word.as_str(), quoted) {
                    ("null", false) => Ok(Written::Null),
                    ("x", true) => {
                        let digits = self.text(false)?;
                        hex::decode(digits)
                            .map(Written::Binary)
                            .map_err(|_| self.input.fault("a value is not hexadecimal"))
                    }
                    ("e", true) => self.text(true).map(Written::Text),
                    ("n", true) => self.text(self.mysql).map(Written::Text),
                    _ => Err(self
                        .input
                        .fault(format!("a value is written as `{word:.20}…`, which is not known here"))),
                }
            }
        }
    }

    fn number(&mut self) -> Result<Written, Fault> {
        let mut text = Vec::new();
        let ends = b",() \t\r\n;:";
        self.input.until(ends, ROW_LIMIT, &mut text)?;
        if let Some(digits) = text.strip_prefix(b"0x") {
            return hex::decode(digits)
                .map(Written::Binary)
                .map_err(|_| self.input.fault("a value is not hexadecimal"));
        }
        self.skip_cast()?;
        Ok(Written::Text(text))
    }

    /// `::type`, as PostgreSQL has it behind a value.
    fn skip_cast(&mut self) -> Result<(), Fault> {
        if self.mysql || !self.input.take(b':')? {
            return Ok(());
        }
        self.expect(b':')?;
        self.word().map(drop)
    }

    /// A text in quotes; a quote in it is doubled, or hidden by a backslash where those hide something.
    fn text(&mut self, backslashes: bool) -> Result<Vec<u8>, Fault> {
        let quote = self.input.need()?;
        let ends: &[u8] = if backslashes { &[quote, b'\\'] } else { &[quote] };
        let mut text = Vec::new();
        loop {
            self.input.until(ends, ROW_LIMIT, &mut text)?;
            if self.input.need()? == quote {
                if !self.input.take(quote)? {
                    return Ok(text);
                }
                text.push(quote);
            } else if self.mysql {
                text.push(match self.input.need()? {
                    b'0' => 0,
                    b'b' => 8,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'Z' => 26,
                    other => other,
                });
            } else {
                text.push(self.escape()?);
            }
        }
    }

    /// What is behind a backslash in `E'…'`.
    fn escape(&mut self) -> Result<u8, Fault> {
        let mut letters = vec![self.input.need()?];
        let more: (&[u8], usize) = match letters.first() {
            Some(b'0'..=b'7') => (b"01234567", 3),
            Some(b'x') => (b"0123456789abcdefABCDEF", 3),
            _ => (b"", 1),
        };
        while letters.len() < more.1 && self.input.peek()?.is_some_and(|it| more.0.contains(&it)) {
            letters.push(self.input.need()?);
        }
        escaped(&letters)
            .map(|(byte, _)| byte)
            .ok_or_else(|| self.input.fault("a text has a backslash too many"))
    }

    /// Passes over spaces and comments; returns what comes behind them.
    fn skip_space(&mut self) -> Result<Option<u8>, Fault> {
        loop {
            match self.input.peek()? {
                Some(b' ' | b'\t' | b'\r' | b'\n' | 0x0c) => drop(self.input.next()?),
                Some(b'-') => {
                    // A number may be negative; a comment has two of them.
                    if !self.dashes()? {
                        return Ok(Some(b'-'));
                    }
                }
                Some(b'#') if self.mysql => self.comment()?,
                Some(b'/') => {
                    self.input.next()?;
                    if !self.input.take(b'*')? {
                        self.input.put_back(b'/');
                        return Ok(Some(b'/'));
                    }
                    let mut last = 0;
                    loop {
                        let byte = self.input.need()?;
                        if last == b'*' && byte == b'/' {
                            break;
                        }
                        last = byte;
                    }
                }
                other => return Ok(other),
            }
        }
    }

    /// Whether this was a comment. A single dash is left.
    fn dashes(&mut self) -> Result<bool, Fault> {
        self.input.next()?;
        if !self.input.take(b'-')? {
            self.input.put_back(b'-');
            return Ok(false);
        }
        self.comment()?;
        Ok(true)
    }

    /// The rest of a line that is a comment, which may say what this is and that it is complete.
    fn comment(&mut self) -> Result<(), Fault> {
        let mut text = Vec::new();
        while let Some(byte) = self.input.next()? {
            if byte == b'\n' {
                break;
            }
            if text.len() < COMMENT_LIMIT {
                text.push(byte);
            }
        }
        let text = String::from_utf8_lossy(&text);
        let text = text.trim();
        if ["MySQL dump", "MariaDB dump"].iter().any(|it| text.starts_with(it)) {
            (self.begun, self.mysql) = (true, true);
        }
        self.begun |= text == "PostgreSQL database dump";
        self.complete |= text == "PostgreSQL database dump complete" || text.starts_with("Dump completed");
        Ok(())
    }

    /// Passes the rest of a statement over, and its end.
    fn skip_statement(&mut self) -> Result<(), Fault> {
        while self.skip_space()?.is_some() {
            match self.input.need()? {
                b';' => return Ok(()),
                quote @ (b'\'' | b'"' | b'`') => self.skip_quoted(quote)?,
                b'$' if !self.mysql => self.skip_dollars()?,
                _ => {}
            }
        }
        Err(self.input.fault(ENDS))
    }

    /// Passes over what is in quotes, the first of which is taken.
    fn skip_quoted(&mut self, quote: u8) -> Result<(), Fault> {
        loop {
            match self.input.need()? {
                b'\\' if self.mysql && quote != b'`' => drop(self.input.need()?),
                byte if byte == quote => return Ok(()),
                _ => {}
            }
        }
    }

    /// Passes over `$tag$ … $tag$`, whose first sign is taken.
    fn skip_dollars(&mut self) -> Result<(), Fault> {
        let mut tag = vec![b'$'];
        while let Some(byte) = self.input.peek()? {
            if !(byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$') || NAME_LIMIT < tag.len() {
                // A sign of its own, not a quote.
                return Ok(());
            }
            tag.push(byte);
            self.input.next()?;
            if byte == b'$' {
                break;
            }
        }
        let mut last = Vec::new();
        while last != tag {
            if last.len() == tag.len() {
                last.remove(0);
            }
            last.push(self.input.need()?);
        }
        Ok(())
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

fn unexpected(byte: u8) -> String {
    format!("`{}` is not expected here", char::from(byte).escape_default())
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
/// The longest row, or value of one: the longest file that is read, in hexadecimal, and something beside it.
pub(super) const ROW_LIMIT: usize = 2 * crate::tuf::TARGETS_LIMIT + (1 << 20);
/// Longer than any database's names.
const NAME_LIMIT: usize = 256;
/// The tables here have a dozen.
const COLUMN_LIMIT: usize = 256;
/// What a comment can say that matters is shorter.
const COMMENT_LIMIT: usize = 200;
