#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>

/* Programs ask it whether a descriptor is a connection at all (bash does, to know whether it was
 * started by a remote shell); no descriptor of a guest has a peer with a name. */
int getpeername(int fd, struct sockaddr* restrict address, socklen_t* restrict length) {
  (void)address, (void)length;
  struct stat st;
  if (fstat(fd, &st) != 0) return -1;
  errno = S_ISSOCK(st.st_mode) ? ENOTCONN : ENOTSOCK;
  return -1;
}
