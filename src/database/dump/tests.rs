//! Dumps as the tools write them, and as nobody should.

use super::lexer::ROW_LIMIT;
use super::parser::read;
use super::*;
use crate::database::dump::error::Fault;
use crate::database::dump::value::Cell;

const FILES: Table = Table {
    name: "tuf_files",
    columns: &[
        Column::integer("id"),
        Column::optional_text("deleted_at"),
        Column::text("gun"),
        Column::bytes("data"),
    ],
    required: true,
    create: "",
    insert: "",
};

type Rows = Vec<(i64, Option<String>, String, Vec<u8>)>;

fn rows(dump: impl AsRef<[u8]>) -> Result<Rows, String> {
    let mut rows = Vec::new();
    let read = read(dump.as_ref(), &[FILES], &mut |_, cells| {
        let [Cell::Integer(id), deleted, Cell::Text(gun), Cell::Bytes(data)] = &cells[..] else {
            panic!("{cells:?}");
        };
        let deleted = if let Cell::Text(it) = deleted { Some(it.clone()) } else { None };
        rows.push((*id, deleted, gun.clone(), data.clone()));
        Ok(())
    });
    match read {
        Ok(()) => Ok(rows),
        Err(Fault::Line(line, reason)) => Err(format!("{line}: {reason}")),
        Err(Fault::Foreign(reason, _)) => Err(reason),
        Err(other) => panic!("{other:?}"),
    }
}

const PG_DUMP: &str = r"--
-- PostgreSQL database dump
--

\restrict nonsense

SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
CREATE FUNCTION public.f() RETURNS trigger LANGUAGE plpgsql AS $_$ begin; 'INSERT INTO tuf_files; $_$;
CREATE TABLE public.changefeed (
    id integer NOT NULL
);
CREATE TABLE public.tuf_files (
    id integer NOT NULL,
    deleted_at timestamp without time zone,
    gun character varying(255) NOT NULL,
    version integer DEFAULT 1 NOT NULL CHECK (version > 0),
    data bytea NOT NULL
);
COPY public.changefeed (id) FROM stdin;
1
\\x
\.

COPY public.tuf_files (id, deleted_at, gun, version, data) FROM stdin;
1	\N	docker.io/acme/base	7	\\x7b7d
2	2026-01-02 03:04:05	a\tb	7	{\\\\\\001}
\.

SELECT pg_catalog.setval('public.tuf_files_id_seq', 2, true);
--
-- PostgreSQL database dump complete
--
";

const MYSQLDUMP: &str = r#"/*M!999999\- enable the sandbox mode */
-- MariaDB dump 10.19  Distrib 10.11.19-MariaDB, for debian-linux-gnu (x86_64)
/*!40101 SET NAMES utf8mb4 */;
DROP TABLE IF EXISTS `tuf_files`;
CREATE TABLE `tuf_files` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `deleted_at` timestamp NULL DEFAULT NULL COMMENT 'it''s, \'this\')',
  `gun` varchar(255) NOT NULL,
  `key` int(11) NOT NULL,
  `data` longblob NOT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `gun` (`gun`,`key`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8;
LOCK TABLES `tuf_files` WRITE;
/*!40000 ALTER TABLE `tuf_files` DISABLE KEYS */;
INSERT INTO `tuf_files` VALUES
(1,NULL,'docker.io/acme/base',7,'{\"a\":\'b\',\\\n\0\Z\r\t\b\%}'),
(-2,'2026-01-02 03:04:05',_utf8mb4'it''s',7,0x7b7D),(3,NULL,'c',7,_binary '\\x41'),(4,NULL,"d",7,x'00');
UNLOCK TABLES;
# a comment with a quote: '
DELIMITER ;;
/*!50003 CREATE TRIGGER x BEFORE INSERT ON tuf_files FOR EACH ROW SET NEW.gun = ';' */;;
DELIMITER ;
-- Dump completed on 2026-11-23  3:00:00
"#;

#[test]
fn pg_dumps_text_is_read() {
    let expected = vec![
        (1, None, "docker.io/acme/base".to_owned(), b"{}".to_vec()),
        (2, Some("2026-01-02 03:04:05".to_owned()), "a\tb".to_owned(), b"{\\\x01}".to_vec()),
    ];
    assert_eq!(rows(PG_DUMP).as_ref(), Ok(&expected));
    let inserts = r"INSERT INTO public.tuf_files (id, deleted_at, gun, version, data) OVERRIDING SYSTEM VALUE VALUES (1, NULL, 'docker.io/acme/base', 7, '\x7b7d'::bytea);
INSERT INTO public.tuf_files (data, gun, deleted_at, id) VALUES (E'{\\\\\\001}', E'a\tb', '2026-01-02 03:04:05', 2);";
    assert_eq!(rows(inserts).as_ref(), Ok(&expected));
}

#[test]
fn mysqldumps_text_is_read() {
    let expected = vec![
        (1, None, "docker.io/acme/base".to_owned(), b"{\"a\":'b',\\\n\0\x1a\r\t\x08%}".to_vec()),
        (-2, Some("2026-01-02 03:04:05".to_owned()), "it's".to_owned(), b"{}".to_vec()),
        (3, None, "c".to_owned(), b"\\x41".to_vec()),
        (4, None, "d".to_owned(), b"\0".to_vec()),
    ];
    assert_eq!(rows(MYSQLDUMP), Ok(expected));
}

/// Wherever a dump breaks off, that is seen; at most what stands behind the last row may be missing.
#[test]
fn no_dump_that_breaks_off_is_taken() {
    for dump in [PG_DUMP, MYSQLDUMP] {
        for end in 0..dump.len() - 30 {
            let read = rows(&dump[..end]);
            assert!(read.is_err() || end < 20, "{end}: {read:?}\n{}", &dump[..end]);
        }
    }
}

#[test]
fn what_is_no_dump_is_told() {
    let insert =
        |values: &str| format!("INSERT INTO `tuf_files` (`id`,`deleted_at`,`gun`,`data`) VALUES {values};");
    let copy =
        |lines: &str| format!("COPY tuf_files (id, deleted_at, gun, data) FROM stdin;\n{lines}\n\\.\n");
    let cases: &[(Vec<u8>, &str)] = &[
        (b"".to_vec(), "it is empty"),
        (b"PGDMP\x01\x0e".to_vec(), "a form of pg_dump's own"),
        (b"\x1f\x8b\x08".to_vec(), "compressed"),
        (b"\xff\xfeI\0".to_vec(), "not in UTF-8"),
        (b"SELECT 1;".to_vec(), "it has no table `tuf_files`"),
        (b"{\"signed\": {}}".to_vec(), "1: the dump ends in the middle"),
        (b"INSERT INTO tuf_files VALUES (1);".to_vec(), "1: rows come without the names"),
        (b"INSERT INTO tuf_files (id) VALUES (1);".to_vec(), "1: the table has no column `deleted_at`"),
        (
            b"INSERT INTO tuf_files (id, deleted_at, gun, data) SELECT * FROM x, y, z, values;".to_vec(),
            "given as values",
        ),
        (insert("(1,NULL,'a')").into(), "a row has 3 values for 4 columns"),
        (insert("(1,NULL,'a','b','c')").into(), "more values than columns"),
        (insert("(1,NULL,'a',NULL)").into(), "`data` is NULL"),
        (insert("('x',NULL,'a','b')").into(), "`id` is no number"),
        (insert("(99999999999999999999,NULL,'a','b')").into(), "`id` is no number"),
        (insert("(1,NULL,'a',0x7)").into(), "not hexadecimal"),
        (insert("(1,NULL,'a',load_file('/etc/passwd'))").into(), "`load_file…`, which is not known"),
        (insert("(1,NULL,'a' 'b')").into(), "`\\'` is not expected here"),
        (insert("(1,NULL,'a\\0','b')").into(), "`gun` has a NUL"),
        (
            [&b"INSERT INTO tuf_files (id,deleted_at,gun,data) VALUES (1,NULL,'\xff','');"[..]].concat(),
            "`gun` is not UTF-8",
        ),
        (insert("(1,NULL,'a','b')\n,\n(2,NULL,'a','b'").into(), "3: `;` is not expected"),
        (copy("1\t\\N\ta").into(), "2: a row has 3 values for 4 columns"),
        (
            copy("1\t\\N\ta\t\\\\x7b7d\n2\t\\N\ta\t\\\\xzz").into(),
            "3: `data` is not what bytes are written as",
        ),
        (copy("1\t\\N\ta\t\\").into(), "2: a value has a backslash too many"),
        (
            b"COPY tuf_files (id, deleted_at, gun, data) FROM stdin;\n1\t\\N\ta\tb\n".to_vec(),
            "ends in the middle",
        ),
        (format!("CREATE TABLE tuf_files ({});", "a int,".repeat(300)).into(), "too many columns"),
        (format!("CREATE TABLE {};", "a".repeat(1000)).into(), "a word has no end"),
        (format!("CREATE TABLE \"{}\";", "a".repeat(1000)).into(), "longer than 256 bytes"),
    ];
    for (dump, reason) in cases {
        let told = rows(dump).unwrap_err();
        assert!(told.contains(reason), "{told}\nnot {reason}\n{}", String::from_utf8_lossy(dump));
    }
}

/// A row without an end costs no more memory than the longest that there may be.
#[test]
fn a_row_without_an_end_is_refused() {
    use std::io::{BufReader, Read as _};
    let start = &b"COPY tuf_files (id, deleted_at, gun, data) FROM stdin;\n1\t\\N\ta\t"[..];
    let endless = BufReader::new(start.chain(std::io::repeat(b'a')));
    let error = read(endless, &[FILES], &mut |_, _| panic!("a row")).unwrap_err();
    assert!(matches!(&error, Fault::Line(2, reason) if reason.contains(&ROW_LIMIT.to_string())), "{error:?}");
}

proptest::proptest! {
    /// Nothing that is fed to it makes it panic, or go on for ever.
    #[test]
    fn no_text_makes_it_panic(pieces in proptest::collection::vec(proptest::sample::select(vec![
        "INSERT INTO ", "tuf_files", "`tuf_files`", " (", ")", "VALUES", ",", ";", "'", "\"", "\\", "\\.", "\n", "\t", "0x", "x'",
        "E'", "_binary ", "--", "/*", "*/", "$", "$$", "COPY ", " FROM stdin;\n", "CREATE TABLE ", "id", "gun", "data",
        "deleted_at", "NULL", "1", "-", "é", "DELIMITER ", "::", "#", "\u{0}",
    ]), 0..40)) {
        let _ = rows(pieces.concat());
    }
}
