# SQLite in memory: a table with an index, updates, joins, string functions.
. "$(dirname "$0")/common.sh"
ROWS=$(scaled 250000)
on_engine sqlite3 :memory: <<SQL | checksum
CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, price INTEGER, note TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $ROWS)
INSERT INTO item SELECT i, printf('item-%d', (i * 7919) % $ROWS), i % 997, hex(i * i) || replace(hex(i), '3', 'xyz') FROM n;
CREATE INDEX by_name ON item (name);
UPDATE item SET note = upper(note) || name WHERE price % 3 = 0;
DELETE FROM item WHERE id % 11 = 0;
SELECT price, count(*), sum(length(note)), max(name) FROM item GROUP BY price ORDER BY price;
SELECT count(*) FROM item a JOIN item b ON a.name = b.name AND a.id <= b.id;
SELECT length(group_concat(name)) FROM (SELECT name FROM item ORDER BY note);
SQL
