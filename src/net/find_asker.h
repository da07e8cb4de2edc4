#ifndef CORDON_NET_FIND_ASKER_H_
#define CORDON_NET_FIND_ASKER_H_

#include <sys/types.h>

#include <chrono>
#include <string>

#include "net/socket_question.h"

namespace cordon::net {

// Who has the socket, among `first` and its descendants, by what the kernel shows of them outside:
// "postinstall of left-pad" where a package manager says so in the variables of what it runs, else
// the program's name. All of it is the command's own word. Empty if nobody is found in time.
[[nodiscard]] std::string FindAsker(pid_t first, const SocketQuestion& question,
                                    std::chrono::steady_clock::time_point until);

}  // namespace cordon::net

#endif  // CORDON_NET_FIND_ASKER_H_
