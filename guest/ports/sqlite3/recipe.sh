version=3.40.1-2+deb12u2
dsc_sha256=ee3459ae9d00939741c7708fc1b8ce1bde12d8c3fb1dfa005bbbc8651d884e23
needs="readline zlib"

# The distribution's choice of features, but for shared objects as extensions and for the write-ahead log, which a guest has
# not: no code comes into a program that runs, and no file is mapped for writing by several processes.
features=(-DSQLITE_SECURE_DELETE -DSQLITE_ENABLE_COLUMN_METADATA -DSQLITE_ENABLE_FTS3 -DSQLITE_ENABLE_FTS3_PARENTHESIS
  -DSQLITE_ENABLE_FTS3_TOKENIZER=1 -DSQLITE_ENABLE_FTS4 -DSQLITE_ENABLE_FTS5 -DSQLITE_ENABLE_RTREE=1 -DSQLITE_SOUNDEX=1
  -DSQLITE_ENABLE_UNLOCK_NOTIFY -DSQLITE_OMIT_LOOKASIDE=1 -DSQLITE_ENABLE_DBSTAT_VTAB -DSQLITE_ALLOW_ROWID_IN_VIEW
  -DSQLITE_ENABLE_UPDATE_DELETE_LIMIT=1 -DSQLITE_ENABLE_JSON1 -DSQLITE_LIKE_DOESNT_MATCH_BLOBS -DSQLITE_THREADSAFE=1
  -DSQLITE_USE_URI=1 -DSQLITE_MAX_SCHEMA_RETRY=25 -DSQLITE_ENABLE_PREUPDATE_HOOK -DSQLITE_ENABLE_SESSION
  -DSQLITE_ENABLE_STMTVTAB -DSQLITE_MAX_VARIABLE_NUMBER=250000 -DSQLITE_ENABLE_MATH_FUNCTIONS
  -DSQLITE_OMIT_LOAD_EXTENSION -DSQLITE_OMIT_WAL -DHAVE_USLEEP=1 -DHAVE_FDATASYNC=1 -DHAVE_STRCHRNUL=1 -DHAVE_LOCALTIME_R=1 -DHAVE_GMTIME_R=1)

# The package has the tree from which the one large source file is made, by programs of its own that run here.
build() {
  CC=$BUILD_CC AR=ar RANLIB=ranlib CFLAGS=-w "$SOURCE/configure" --disable-tcl --disable-readline --disable-shared
  make OPTS=-DSQLITE_ENABLE_UPDATE_DELETE_LIMIT=1 sqlite3.c shell.c
  echo "=== make"
  "$CC" $CFLAGS "${features[@]}" -I. -c sqlite3.c
  "$AR" rcs libsqlite3.a sqlite3.o
  "$CC" $CFLAGS "${features[@]}" -DHAVE_READLINE=1 -DSQLITE_HAVE_ZLIB=1 -I. -o sqlite3 shell.c libsqlite3.a -lreadline -lncurses -lz
}

stage() {
  put sqlite3
  put_library libsqlite3.a
  put_headers sqlite3.h "$SOURCE/src/sqlite3ext.h"
}
