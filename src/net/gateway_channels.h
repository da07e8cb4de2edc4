#ifndef CORDON_NET_GATEWAY_CHANNELS_H_
#define CORDON_NET_GATEWAY_CHANNELS_H_

namespace cordon::net {

// The descriptors with which the gateway's program is started, and no others but 0, 1 and 2.
inline constexpr int kControlFd = 3;    // SOCK_SEQPACKET, to who started it
inline constexpr int kNamespaceFd = 4;  // SOCK_SEQPACKET, on which the sandbox's sockets come
inline constexpr int kConfigFd = 5;     // a file with its configuration
inline constexpr int kLogFd = 6;        // the log, or /dev/null

// With this word as its first argument the program relays published ports instead: the following
// arguments are ports of the command's loopback, and a listener stands ready for each.
inline constexpr const char* kPortsMode = "ports";
inline constexpr int kFirstListenerFd = 7;

// On the control channel, beside questions and answers (socket_question.h): the gateway's first
// word, and its last if it could not go on. Between them, when the other side ends its own
// direction, the summary.
inline constexpr const char* kFailed = "failed ";
inline constexpr const char* kSummary = "summary\n";
// Of a relay of ports, once it is locked in.
inline constexpr const char* kReady = "ready\n";

}  // namespace cordon::net

#endif  // CORDON_NET_GATEWAY_CHANNELS_H_
