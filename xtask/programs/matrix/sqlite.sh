# sqlite3: a long script in memory and on disk; the answers and the database's own integrity check.
source "$PROGRAMS/matrix/common.sh"
sqlite3 :memory: <"$PROGRAMS/matrix/sqlite.sql"
sqlite3 file.db <"$PROGRAMS/matrix/sqlite.sql"
sqlite3 file.db 'vacuum; pragma integrity_check; select count(*) from items;'
sqlite3 file.db .dump | md5sum
