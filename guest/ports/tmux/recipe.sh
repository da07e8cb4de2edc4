version=3.3a-3
dsc_sha256=ededb5dfe31271a77b7d74479515f84908fd9a3ab2afd15ffedba9afd62d5049
needs="libevent ncurses"

build() {
  gnu_configure --disable-utf8proc --with-TERM=tmux-256color LIBEVENT_CORE_CFLAGS=" " LIBEVENT_CORE_LIBS=-levent_core LIBNCURSES_LIBS=-lncurses
  mkdir -p compat
  gnu_make
}

stage() {
  put tmux
}
