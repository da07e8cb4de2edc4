version=1:2.39.5-0+deb12u3
dsc_sha256=183f02891326496b439a24c87843fb8849178b21517640fc703787754aad6bd1
needs="curl openssl pcre2 zlib"

# What its makefile would conclude from the system that it runs on, where a guest's answer is another one.
options=(prefix=/usr gitexecdir=/usr/lib/git-core sysconfdir=/etc DEFAULT_PAGER=less DEFAULT_EDITOR=editor
  HAVE_SYNC_FILE_RANGE= NO_EXPAT=1 NO_GETTEXT=1 NO_OPENSSL=1 NO_PERL=1 NO_PTHREADS=1 NO_PYTHON=1 NO_REGEX=NeedsStartEnd
  NO_TCLTK=1 USE_LIBPCRE2=1 CURL_CONFIG=false CURL_CFLAGS= "CURL_LDFLAGS=-lcurl -lssl -lcrypto -lz" HOST_CPU=wasm32
  SHELL_PATH=/bin/sh)
scripts=(git-bisect git-difftool--helper git-filter-branch git-merge-octopus git-merge-one-file git-merge-resolve git-mergetool
  git-request-pull git-submodule git-mergetool--lib git-sh-i18n git-sh-setup)

build() {
  cd "$SOURCE"
  gnu_make "${options[@]}" CC="$CC" AR="$AR" CFLAGS="$CFLAGS" V=1 git git-remote-http git-sh-i18n--envsubst "${scripts[@]}"
  make -C templates "${options[@]}" all
}

stage() {
  put git
  link git git-receive-pack git-upload-archive git-upload-pack
  install -D -m 755 -t "$STAGE/usr/lib/git-core" git-remote-http git-sh-i18n--envsubst "${scripts[@]}"
  ln -s git-remote-http "$STAGE/usr/lib/git-core/git-remote-https"
  mkdir -p "$STAGE/usr/share/git-core"
  cp -r templates/blt "$STAGE/usr/share/git-core/templates"
}
