// WASI's own calls, past the C library: errors and effects that other engines agree on. One line for each
// that differs, and a count.
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <wasi/api.h>

enum { kAllRights = 0x3fffffff, kRead = 1 << 1, kWrite = 1 << 6 };
static __wasi_fd_t here;  // the working directory
static int checks;

static void expect(int line, const char* what, unsigned got, unsigned wanted) {
  checks++;
  if (got != wanted) printf("%d: %s: %u, expected %u\n", line, what, got, wanted);
}
#define EXPECT(call, wanted) expect(__LINE__, #call, (unsigned)(call), (unsigned)(wanted))

static __wasi_fd_t opened;
static __wasi_errno_t open_with(const char* path, unsigned oflags, unsigned long long rights,
                                unsigned fdflags, unsigned lookup) {
  return __wasi_path_open(here, lookup, path, oflags, rights, kAllRights, fdflags, &opened);
}
static __wasi_errno_t open_at(const char* path, unsigned oflags) {
  return open_with(path, oflags, kRead | kWrite, 0, 0);
}
static void make_file(const char* path, const char* text) {
  EXPECT(open_at(path, __WASI_OFLAGS_CREAT | __WASI_OFLAGS_TRUNC), 0);
  __wasi_ciovec_t part = {(const uint8_t*)text, strlen(text)};
  __wasi_size_t count = 0;
  EXPECT(__wasi_fd_write(opened, &part, 1, &count), 0);
  EXPECT(count, strlen(text));
  EXPECT(__wasi_fd_close(opened), 0);
}

static void paths(void) {
  EXPECT(__wasi_path_create_directory(here, "p"), 0);
  EXPECT(__wasi_path_create_directory(here, "p/q"), 0);
  EXPECT(__wasi_path_create_directory(here, "p/q/"), __WASI_ERRNO_EXIST);
  make_file("p/q/file", "text");
  EXPECT(open_at("p/.//q/../../p/q/../q///./file", 0), 0);
  EXPECT(__wasi_fd_close(opened), 0);
  EXPECT(open_at("p/q/../../../home", 0), __WASI_ERRNO_NOTCAPABLE);
  EXPECT(open_at("/p/q/file", 0), __WASI_ERRNO_NOTCAPABLE);
  EXPECT(open_at("..", 0), __WASI_ERRNO_NOTCAPABLE);
  EXPECT(open_at("p/q/file/", 0), __WASI_ERRNO_NOTDIR);
  EXPECT(open_at("p/q/file", __WASI_OFLAGS_DIRECTORY), __WASI_ERRNO_NOTDIR);
  EXPECT(open_at("", 0), __WASI_ERRNO_NOENT);
  EXPECT(open_at("p/none", 0), __WASI_ERRNO_NOENT);
  EXPECT(open_at("p/q/file", __WASI_OFLAGS_CREAT | __WASI_OFLAGS_EXCL), __WASI_ERRNO_EXIST);
  EXPECT(open_at("p/q/", 0), 0);
  EXPECT(__wasi_fd_close(opened), 0);
  EXPECT(open_at("p", __WASI_OFLAGS_DIRECTORY | __WASI_OFLAGS_CREAT), __WASI_ERRNO_INVAL);
  EXPECT(open_at("p/q/file", 0x10), __WASI_ERRNO_INVAL);
  EXPECT(open_with("p/q/file", 0, kRead, 0x20, 0), __WASI_ERRNO_INVAL);
  EXPECT(__wasi_path_unlink_file(here, "p/q"), __WASI_ERRNO_ISDIR);
  EXPECT(__wasi_path_unlink_file(here, "p/q/file/"), __WASI_ERRNO_NOTDIR);
  EXPECT(__wasi_path_remove_directory(here, "p/q"), __WASI_ERRNO_NOTEMPTY);
  EXPECT(__wasi_path_remove_directory(here, "p/q/file"), __WASI_ERRNO_NOTDIR);
  EXPECT(__wasi_path_remove_directory(here, "p/none"), __WASI_ERRNO_NOENT);
  // A descriptor that is no directory.
  EXPECT(open_at("p/q/file", 0), 0);
  __wasi_fd_t file = opened;
  EXPECT(__wasi_path_open(file, 0, "x", 0, kRead, 0, 0, &opened), __WASI_ERRNO_NOTDIR);
  EXPECT(__wasi_path_open(file, 0, "", 0, kRead, 0, 0, &opened), __WASI_ERRNO_NOENT);
  EXPECT(__wasi_path_create_directory(file, "x"), __WASI_ERRNO_NOTDIR);
  EXPECT(__wasi_path_open(99, 0, "x", 0, kRead, 0, 0, &opened), __WASI_ERRNO_BADF);
  EXPECT(__wasi_path_open(1, 0, "x", 0, kRead, 0, 0, &opened), __WASI_ERRNO_NOTDIR);
  EXPECT(__wasi_fd_close(file), 0);
}

static void links(void) {
  __wasi_filestat_t stat;
  EXPECT(__wasi_path_symlink("none", here, "dangling"), 0);
  EXPECT(__wasi_path_symlink("none", here, "dangling"), __WASI_ERRNO_EXIST);
  EXPECT(open_at("dangling", 0), __WASI_ERRNO_LOOP);
  EXPECT(open_with("dangling", 0, kRead, 0, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW), __WASI_ERRNO_NOENT);
  EXPECT(__wasi_path_filestat_get(here, 0, "dangling", &stat), 0);
  EXPECT(stat.filetype, __WASI_FILETYPE_SYMBOLIC_LINK);
  EXPECT(stat.size, 4);
  EXPECT(__wasi_path_filestat_get(here, 1, "dangling", &stat), __WASI_ERRNO_NOENT);
  EXPECT(__wasi_path_symlink("loop", here, "loop"), 0);
  EXPECT(open_with("loop", 0, kRead, 0, 1), __WASI_ERRNO_LOOP);
  EXPECT(__wasi_path_filestat_get(here, 1, "loop", &stat), __WASI_ERRNO_LOOP);
  uint8_t target[8] = {0};
  __wasi_size_t size = 0;
  EXPECT(__wasi_path_readlink(here, "dangling", target, 3, &size), 0);
  EXPECT(size, 3);
  EXPECT(memcmp(target, "non\0", 4), 0);
  EXPECT(__wasi_path_readlink(here, "p/q/file", target, 3, &size), __WASI_ERRNO_INVAL);
  EXPECT(__wasi_path_link(here, 0, "p/q/file", here, "hard"), 0);
  EXPECT(__wasi_path_link(here, 0, "p/q/file", here, "hard"), __WASI_ERRNO_EXIST);
  EXPECT(__wasi_path_filestat_get(here, 0, "hard", &stat), 0);
  EXPECT(stat.nlink, 2);
  EXPECT(__wasi_path_link(here, 0, "p", here, "hard2"), __WASI_ERRNO_PERM);
  EXPECT(__wasi_path_link(here, 0, "hard", here, "../x"), __WASI_ERRNO_NOTCAPABLE);
  EXPECT(__wasi_path_rename(here, "hard", here, "p"), __WASI_ERRNO_ISDIR);
  EXPECT(__wasi_path_rename(here, "p", here, "hard"), __WASI_ERRNO_NOTDIR);
  EXPECT(__wasi_path_rename(here, "p", here, "p/q/x"), __WASI_ERRNO_INVAL);
  EXPECT(__wasi_path_rename(here, "none", here, "x"), __WASI_ERRNO_NOENT);
  EXPECT(__wasi_path_rename(here, "hard", here, "hard/"), __WASI_ERRNO_NOTDIR);
  EXPECT(__wasi_path_unlink_file(here, "hard"), 0);
  EXPECT(__wasi_path_unlink_file(here, "dangling"), 0);
  EXPECT(__wasi_path_unlink_file(here, "loop"), 0);
}

static void directories_as_files(void) {
  uint8_t byte = 0;
  __wasi_iovec_t in = {&byte, 1};
  __wasi_ciovec_t out = {&byte, 1};
  __wasi_size_t count = 0;
  __wasi_filesize_t at = 0;
  EXPECT(open_with("p", __WASI_OFLAGS_DIRECTORY, kAllRights, 0, 0), 0);
  __wasi_fd_t directory = opened;
  EXPECT(__wasi_fd_read(directory, &in, 1, &count), __WASI_ERRNO_BADF);
  EXPECT(__wasi_fd_pread(directory, &in, 1, 0, &count), __WASI_ERRNO_BADF);
  EXPECT(__wasi_fd_write(directory, &out, 1, &count), __WASI_ERRNO_BADF);
  EXPECT(__wasi_fd_pwrite(directory, &out, 1, 0, &count), __WASI_ERRNO_BADF);
  EXPECT(__wasi_fd_seek(directory, 0, __WASI_WHENCE_CUR, &at), __WASI_ERRNO_BADF);
  EXPECT(__wasi_fd_tell(directory, &at), __WASI_ERRNO_BADF);
  EXPECT(__wasi_fd_advise(directory, 0, 0, 0), __WASI_ERRNO_BADF);
  EXPECT(__wasi_fd_allocate(directory, 0, 1), __WASI_ERRNO_BADF);
  EXPECT(__wasi_fd_filestat_set_size(directory, 0), __WASI_ERRNO_BADF);
  EXPECT(__wasi_fd_readdir(0, &byte, 1, 0, &count), __WASI_ERRNO_NOTDIR);
  EXPECT(__wasi_fd_close(directory), 0);
}

static void descriptors(void) {
  uint8_t text[16] = {0};
  __wasi_size_t count = 0;
  __wasi_filesize_t at = 0;
  __wasi_fdstat_t facts;
  make_file("f", "0123456789");
  EXPECT(open_with("f", 0, kRead, 0, 0), 0);
  __wasi_fd_t file = opened;
  __wasi_ciovec_t out = {text, 1};
  __wasi_iovec_t in[2] = {{text, 4}, {text + 4, 4}};
  EXPECT(__wasi_fd_write(file, &out, 1, &count), __WASI_ERRNO_BADF);
  EXPECT(__wasi_fd_pread(file, in, 2, 2, &count), 0);
  EXPECT(memcmp(text, "23456789", 8), 0);
  EXPECT(__wasi_fd_pread(file, in, 2, -1, &count), __WASI_ERRNO_INVAL);
  EXPECT(__wasi_fd_pread(file, in, 2, 10, &count), 0);
  EXPECT(count, 0);
  EXPECT(__wasi_fd_read(file, in, 0, &count), 0);
  EXPECT(count, 0);
  EXPECT(__wasi_fd_seek(file, -1, __WASI_WHENCE_SET, &at), __WASI_ERRNO_INVAL);
  EXPECT(__wasi_fd_seek(file, 0x7fffffffffffffff, __WASI_WHENCE_END, &at), __WASI_ERRNO_INVAL);
  EXPECT(__wasi_fd_seek(file, 0, 3, &at), __WASI_ERRNO_INVAL);
  EXPECT(__wasi_fd_seek(file, -3, __WASI_WHENCE_END, &at), 0);
  EXPECT(at, 7);
  EXPECT(__wasi_fd_tell(file, &at), 0);
  EXPECT(at, 7);
  EXPECT(__wasi_fd_filestat_set_size(file, 1), __WASI_ERRNO_INVAL);
  EXPECT(__wasi_fd_fdstat_get(file, &facts), 0);
  EXPECT(facts.fs_filetype, __WASI_FILETYPE_REGULAR_FILE);
  EXPECT((facts.fs_rights_base & kWrite) != 0, 0);
  EXPECT(__wasi_fd_advise(file, 0, 0, 6), __WASI_ERRNO_INVAL);
  EXPECT(__wasi_fd_close(file), 0);
  EXPECT(__wasi_fd_close(file), __WASI_ERRNO_BADF);
  // Appending is switched on and off.
  EXPECT(open_with("f", 0, kRead | kWrite, __WASI_FDFLAGS_APPEND, 0), 0);
  file = opened;
  EXPECT(__wasi_fd_fdstat_get(file, &facts), 0);
  EXPECT(facts.fs_flags, __WASI_FDFLAGS_APPEND);
  EXPECT(__wasi_fd_write(file, &out, 1, &count), 0);
  EXPECT(__wasi_fd_seek(file, 0, __WASI_WHENCE_END, &at), 0);
  EXPECT(at, 11);
  EXPECT(__wasi_fd_fdstat_set_flags(file, 0), 0);
  EXPECT(__wasi_fd_seek(file, 0, __WASI_WHENCE_SET, &at), 0);
  EXPECT(__wasi_fd_write(file, &out, 1, &count), 0);
  EXPECT(__wasi_fd_seek(file, 0, __WASI_WHENCE_END, &at), 0);
  EXPECT(at, 11);
  EXPECT(__wasi_fd_fdstat_set_flags(file, 0x20), __WASI_ERRNO_INVAL);
  EXPECT(__wasi_fd_allocate(file, 100, 100), 0);
  __wasi_filestat_t stat;
  EXPECT(__wasi_fd_filestat_get(file, &stat), 0);
  EXPECT(stat.size, 200);
  EXPECT(__wasi_fd_allocate(file, 0, 0), __WASI_ERRNO_INVAL);
  EXPECT(__wasi_fd_allocate(file, -1, 1), __WASI_ERRNO_INVAL);
  EXPECT(__wasi_fd_filestat_set_size(file, -1), __WASI_ERRNO_INVAL);
  EXPECT(__wasi_fd_filestat_set_times(file, 0, 0, __WASI_FSTFLAGS_ATIM | __WASI_FSTFLAGS_ATIM_NOW),
         __WASI_ERRNO_INVAL);
  EXPECT(__wasi_fd_filestat_set_times(file, 7, 1000000000000000001, __WASI_FSTFLAGS_MTIM), 0);
  EXPECT(__wasi_fd_filestat_get(file, &stat), 0);
  EXPECT(stat.mtim == 1000000000000000001, 1);
  EXPECT(stat.atim == 7, 0);
  // Over another one, and the error of a number that is not open.
  EXPECT(open_at("p", __WASI_OFLAGS_DIRECTORY), 0);
  __wasi_fd_t other = opened;
  EXPECT(__wasi_fd_renumber(file, other), 0);
  EXPECT(__wasi_fd_filestat_get(file, &stat), __WASI_ERRNO_BADF);
  EXPECT(__wasi_fd_filestat_get(other, &stat), 0);
  EXPECT(stat.size, 200);
  EXPECT(__wasi_fd_renumber(other, 99), __WASI_ERRNO_BADF);
  EXPECT(__wasi_fd_renumber(99, other), __WASI_ERRNO_BADF);
  EXPECT(__wasi_fd_close(other), 0);
  EXPECT(__wasi_sock_shutdown(0, __WASI_SDFLAGS_RD), __WASI_ERRNO_NOTSOCK);
  EXPECT(__wasi_sock_shutdown(99, __WASI_SDFLAGS_RD), __WASI_ERRNO_BADF);
}

static void listing(void) {
  uint8_t whole[4096];
  uint8_t part[4096];
  __wasi_size_t size = 0;
  __wasi_size_t cut = 0;
  EXPECT(open_with(".", __WASI_OFLAGS_DIRECTORY, kAllRights, 0, 0), 0);
  __wasi_fd_t directory = opened;
  EXPECT(__wasi_fd_readdir(directory, whole, sizeof whole, 0, &size), 0);
  EXPECT(size < sizeof whole, 1);
  __wasi_dirent_t first;
  memcpy(&first, whole, sizeof first);
  EXPECT(first.d_namlen, 1);
  EXPECT(first.d_type, __WASI_FILETYPE_DIRECTORY);
  EXPECT(whole[sizeof first], '.');
  // From the second entry on, what follows is the same.
  EXPECT(__wasi_fd_readdir(directory, part, sizeof part, first.d_next, &cut), 0);
  EXPECT(cut, size - sizeof first - 1);
  EXPECT(memcmp(part, whole + sizeof first + 1, cut), 0);
  EXPECT(__wasi_fd_readdir(directory, part, 10, 0, &cut), 0);
  EXPECT(cut, 10);
  EXPECT(__wasi_fd_readdir(directory, part, sizeof part, 1ull << 40, &cut), 0);
  EXPECT(cut, 0);
  EXPECT(__wasi_fd_close(directory), 0);
}

static void waiting(void) {
  __wasi_subscription_t wanted[3] = {{.userdata = 1, .u.tag = __WASI_EVENTTYPE_CLOCK}};
  __wasi_event_t events[3];
  __wasi_size_t count = 0;
  EXPECT(__wasi_poll_oneoff(wanted, events, 0, &count), __WASI_ERRNO_INVAL);
  wanted[0].u.u.clock = (__wasi_subscription_clock_t){__WASI_CLOCKID_MONOTONIC, 20000000, 0, 0};
  __wasi_timestamp_t before = 0;
  __wasi_timestamp_t after = 0;
  EXPECT(__wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 0, &before), 0);
  EXPECT(__wasi_poll_oneoff(wanted, events, 1, &count), 0);
  EXPECT(__wasi_clock_time_get(__WASI_CLOCKID_MONOTONIC, 0, &after), 0);
  EXPECT(count, 1);
  EXPECT(events[0].userdata, 1);
  EXPECT(events[0].type, __WASI_EVENTTYPE_CLOCK);
  EXPECT(after - before >= 20000000, 1);
  // A time that is never reached, with a file that is ready; and a descriptor that is not open.
  wanted[0].u.u.clock = (__wasi_subscription_clock_t){__WASI_CLOCKID_MONOTONIC, -1, 0, 1};
  make_file("f", "0123456789");
  EXPECT(open_with("f", 0, kRead, 0, 0), 0);
  wanted[1] = (__wasi_subscription_t){.userdata = 2, .u.tag = __WASI_EVENTTYPE_FD_READ};
  wanted[1].u.u.fd_read.file_descriptor = opened;
  EXPECT(__wasi_poll_oneoff(wanted, events, 2, &count), 0);
  EXPECT(count, 1);
  EXPECT(events[0].userdata, 2);
  EXPECT(events[0].error, 0);
  EXPECT(events[0].fd_readwrite.nbytes, 10);
  EXPECT(__wasi_fd_close(opened), 0);
  EXPECT(__wasi_poll_oneoff(wanted, events, 2, &count), 0);
  EXPECT(count, 1);
  EXPECT(events[0].error, __WASI_ERRNO_BADF);
  wanted[0].u.u.clock.id = 77;
  EXPECT(__wasi_poll_oneoff(wanted, events, 1, &count), __WASI_ERRNO_INVAL);
  wanted[0].u.u.clock.id = __WASI_CLOCKID_PROCESS_CPUTIME_ID;
  EXPECT(__wasi_poll_oneoff(wanted, events, 1, &count), __WASI_ERRNO_INVAL);
  EXPECT(__wasi_clock_res_get(77, &after), __WASI_ERRNO_INVAL);
}

// Last: the working directory is closed.
static void open_directories(void) {
  __wasi_prestat_t facts;
  uint8_t name[8] = {0};
  EXPECT(__wasi_fd_prestat_get(here, &facts), 0);
  EXPECT(facts.u.dir.pr_name_len, 1);
  EXPECT(__wasi_fd_prestat_dir_name(here, name, 0), __WASI_ERRNO_NAMETOOLONG);
  EXPECT(__wasi_fd_prestat_dir_name(here, name, 8), 0);
  EXPECT(name[0], '.');
  EXPECT(__wasi_fd_prestat_get(0, &facts), __WASI_ERRNO_BADF);
  EXPECT(open_at("p", __WASI_OFLAGS_DIRECTORY), 0);
  __wasi_fd_t other = opened;
  EXPECT(__wasi_fd_prestat_get(other, &facts), __WASI_ERRNO_BADF);
  // What takes the number of one is not one.
  EXPECT(__wasi_fd_renumber(other, here), 0);
  EXPECT(__wasi_fd_prestat_get(here, &facts), __WASI_ERRNO_BADF);
  EXPECT(open_at("q/file", 0), 0);
  EXPECT(__wasi_fd_close(here), 0);
  EXPECT(__wasi_fd_prestat_get(here, &facts), __WASI_ERRNO_BADF);
  EXPECT(__wasi_path_open(here + 1, 0, ".", 0, kRead, 0, 0, &opened), 0);
  EXPECT(opened, here);
  EXPECT(__wasi_fd_prestat_get(here, &facts), __WASI_ERRNO_BADF);
}

int main(void) {
  here = 3;
  paths();
  links();
  directories_as_files();
  descriptors();
  listing();
  waiting();
  open_directories();
  printf("%d checks\n", checks);
  return 0;
}
