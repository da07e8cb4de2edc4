#include "backend/native/system_calls.h"

#include <fcntl.h>
#include <linux/btrfs.h>
#include <linux/netlink.h>
#include <linux/sched.h>
#include <netinet/in.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <string>

namespace cordon::backend::native {
namespace {

// An ioctl's request is 32 bits to the kernel, whatever stands above them in the register.
constexpr uint64_t kLow32 = 0xffffffff;

constexpr SystemCallRule Deny(const char* name, int call, const char* reason) {
  return {name, call, SystemCallRule::kDeny, 0, 0, 0, reason};
}
constexpr SystemCallRule NotThere(const char* name, int call, const char* reason) {
  return {name, call, SystemCallRule::kNotThere, 0, 0, 0, reason};
}
constexpr SystemCallRule DenyEqual(const char* name, int call, uint8_t argument, uint64_t mask,
                                   uint64_t value, const char* reason) {
  return {name, call, SystemCallRule::kDenyEqual, argument, mask, value, reason};
}
constexpr SystemCallRule DenyFlag(const char* name, int call, uint64_t flag, const char* reason) {
  return DenyEqual(name, call, 0, flag, flag, reason);
}
constexpr SystemCallRule DenyFamily(const char* name, int call, uint64_t family,
                                    const char* reason) {
  return {name, call, SystemCallRule::kDenyFamily, 0, 0, family, reason};
}

constexpr SystemCallRule DenyProtocol(const char* name, int call, uint64_t family, uint64_t number,
                                      const char* reason) {
  return {name, call, SystemCallRule::kDenyProtocol, 2, kLow32, family, reason, number};
}
constexpr SystemCallRule DenyProtocolAbove(const char* name, int call, uint64_t family,
                                           uint64_t number, const char* reason) {
  return {name, call, SystemCallRule::kDenyProtocolAbove, 2, 0, family, reason, number};
}
// The type without SOCK_CLOEXEC and SOCK_NONBLOCK.
constexpr SystemCallRule DenyType(const char* name, int call, uint64_t family, uint64_t type,
                                  const char* reason) {
  return {name, call, SystemCallRule::kDenyProtocol, 1, 0xf, family, reason, type};
}

// Which argument the mode is.
constexpr SystemCallRule DenyMode(const char* name, int call, uint8_t argument) {
  return {name,
          call,
          SystemCallRule::kDenyMode,
          argument,
          0,
          0,
          "a program that gives its rights to others"};
}
constexpr SystemCallRule DenyMade(const char* name, int call, uint8_t argument) {
  return {name,
          call,
          SystemCallRule::kDenyMade,
          argument,
          0,
          0,
          "a program that gives its rights to others"};
}

// With `given`, if that argument is a pointer to something.
constexpr SystemCallRule Pretend(const char* name, int call, uint8_t argument, uint64_t value,
                                 uint64_t given, const char* reason) {
  return {name, call, SystemCallRule::kPretendEqual, argument, kLow32, value, reason, given};
}

// Newer than libseccomp of Debian 12.
constexpr int kSetDelegation = 1024 + 16;  // F_SETDELEG
constexpr int kFchmodat2 = 452;
constexpr int kListmount = 458;
constexpr int kStatmount = 457;
constexpr int kOpenTreeAttr = 467;

#define CALL(name) #name, SCMP_SYS(name)

// clang-format off
constexpr SystemCallRule kRules[] = {
    // Input that the terminal's owner did not type.
    DenyEqual(CALL(ioctl), 1, kLow32, TIOCSTI,       "types into the caller's terminal"),
    DenyEqual(CALL(ioctl), 1, kLow32, TIOCLINUX,     "pastes into the caller's console"),
    DenyEqual(CALL(ioctl), 1, kLow32, TIOCCONS,      "takes the console's output"),
    DenyEqual(CALL(ioctl), 1, kLow32, TIOCSETD,      "loads line disciplines"),
    DenyEqual(CALL(ioctl), 1, kLow32, TIOCEXCL,      "keeps others from the caller's terminal"),

    // A snapshot has the files that mounts hide; a subvolume is a device of its own, which a shadow is
    // not removed with.
    DenyEqual(CALL(ioctl), 1, kLow32, BTRFS_IOC_SNAP_CREATE,      "what is hidden, by another name"),
    DenyEqual(CALL(ioctl), 1, kLow32, BTRFS_IOC_SNAP_CREATE_V2,   "what is hidden, by another name"),
    DenyEqual(CALL(ioctl), 1, kLow32, BTRFS_IOC_SUBVOL_CREATE,    "file systems"),
    DenyEqual(CALL(ioctl), 1, kLow32, BTRFS_IOC_SUBVOL_CREATE_V2, "file systems"),

    // Namespaces: what is in one has every capability over it, and so most of the kernel to attack.
    DenyFlag(CALL(clone), CLONE_NEWUSER,             "nested namespaces"),
    DenyFlag(CALL(clone), CLONE_NEWNS,               "nested namespaces"),
    DenyFlag(CALL(clone), CLONE_NEWPID,              "nested namespaces"),
    DenyFlag(CALL(clone), CLONE_NEWNET,              "nested namespaces"),
    DenyFlag(CALL(clone), CLONE_NEWIPC,              "nested namespaces"),
    DenyFlag(CALL(clone), CLONE_NEWUTS,              "nested namespaces"),
    DenyFlag(CALL(clone), CLONE_NEWCGROUP,           "nested namespaces"),
    NotThere(CALL(clone3),                           "its flags lie in memory, where no filter sees them"),
    DenyFlag(CALL(unshare), CLONE_NEWUSER,           "nested namespaces"),
    DenyFlag(CALL(unshare), CLONE_NEWNS,             "nested namespaces"),
    DenyFlag(CALL(unshare), CLONE_NEWPID,            "nested namespaces"),
    DenyFlag(CALL(unshare), CLONE_NEWNET,            "nested namespaces"),
    DenyFlag(CALL(unshare), CLONE_NEWIPC,            "nested namespaces"),
    DenyFlag(CALL(unshare), CLONE_NEWUTS,            "nested namespaces"),
    DenyFlag(CALL(unshare), CLONE_NEWCGROUP,         "nested namespaces"),
    DenyFlag(CALL(unshare), CLONE_NEWTIME,           "nested namespaces"),
    Deny(CALL(setns),                                "other namespaces"),

    // The tree of mounts is the wall.
    Deny(CALL(mount),                                "mounts"),
    Deny(CALL(umount2),                              "mounts"),
    Deny(CALL(pivot_root),                           "mounts"),
    Deny(CALL(chroot),                               "mounts"),
    Deny(CALL(fsopen),                               "mounts"),
    Deny(CALL(fsconfig),                             "mounts"),
    Deny(CALL(fsmount),                              "mounts"),
    Deny(CALL(fspick),                               "mounts"),
    Deny(CALL(move_mount),                           "mounts"),
    Deny(CALL(open_tree),                            "mounts"),
    Deny(CALL(mount_setattr),                        "mounts"),
    Deny("open_tree_attr", kOpenTreeAttr,            "mounts"),
    NotThere("statmount", kStatmount,                "mounts"),
    NotThere("listmount", kListmount,                "mounts"),
    Deny(CALL(open_by_handle_at),                    "files by number, past every directory"),
    Deny(CALL(name_to_handle_at),                    "files by number"),
    Deny(CALL(quotactl),                             "file systems"),
    Deny(CALL(quotactl_fd),                          "file systems"),
    Deny(CALL(swapon),                               "file systems"),
    Deny(CALL(swapoff),                              "file systems"),
    Deny(CALL(fanotify_init),                        "sees other processes' files"),
    DenyEqual(CALL(fcntl), 1, kLow32, F_SETLEASE,    "whoever opens the file, here or outside, waits most of a minute"),
    DenyEqual(CALL(fcntl), 1, kLow32, kSetDelegation, "the same of a directory, since Linux 6.19"),

    // What is made belongs to the caller, outside too, where anybody may start it: neither
    // set-user-ID nor set-group-ID, by any call that gives a mode.
    DenyMode(CALL(chmod), 1),
    DenyMode(CALL(fchmod), 1),
    DenyMode(CALL(fchmodat), 2),
    DenyMode("fchmodat2", kFchmodat2, 2),
    DenyMade(CALL(open), 2),
    DenyMade(CALL(openat), 3),
    NotThere(CALL(openat2),                          "its mode lies in memory, where no filter sees it"),
    DenyMode(CALL(creat), 1),
    DenyMode(CALL(mkdir), 1),
    DenyMode(CALL(mkdirat), 2),
    DenyMode(CALL(mknod), 1),
    DenyMode(CALL(mknodat), 2),

    // A limit of one byte for cores keeps the kernel from starting what core_pattern names, outside
    // and as root; 0, to which everybody may lower it, does not (rights.cc). Whoever wants no cores
    // has none.
    Pretend(CALL(setrlimit), 0, RLIMIT_CORE, 0,      "a crash starts a program of the host"),
    Pretend(CALL(prlimit64), 1, RLIMIT_CORE, 2,      "a crash starts a program of the host"),

    // Other processes: a debugger may start what it debugs.
    DenyEqual(CALL(ptrace), 0, kLow32, PTRACE_ATTACH, "processes that it did not start"),
    DenyEqual(CALL(ptrace), 0, kLow32, PTRACE_SEIZE,  "processes that it did not start"),
    Deny(CALL(process_vm_readv),                     "other processes' memory"),
    Deny(CALL(process_vm_writev),                    "other processes' memory"),
    Deny(CALL(kcmp),                                 "other processes"),

    // Parts of the kernel with a history, which commands do without.
    NotThere(CALL(io_uring_setup),                   "calls that no filter sees"),
    NotThere(CALL(io_uring_enter),                   "calls that no filter sees"),
    NotThere(CALL(io_uring_register),                "calls that no filter sees"),
    Deny(CALL(keyctl),                               "keyrings are not of one namespace"),
    Deny(CALL(add_key),                              "keyrings are not of one namespace"),
    Deny(CALL(request_key),                          "keyrings are not of one namespace"),
    Deny(CALL(bpf),                                  "code in the kernel"),
    Deny(CALL(userfaultfd),                          "stops the kernel where an exploit wants it"),
    Deny(CALL(perf_event_open),                      "other processes' secrets"),
    Deny(CALL(lookup_dcookie),                       "other processes' secrets"),
    Deny(CALL(syslog),                               "addresses of the kernel"),
    Deny(CALL(vhangup),                              "the caller's terminal"),
    Deny(CALL(modify_ldt),                           "segments of 16 bits"),
    Deny(CALL(uselib),                               "an old loader"),
    Deny(CALL(kexec_load),                           "another kernel"),
    Deny(CALL(kexec_file_load),                      "another kernel"),
    Deny(CALL(init_module),                          "code in the kernel"),
    Deny(CALL(finit_module),                         "code in the kernel"),
    Deny(CALL(delete_module),                        "code in the kernel"),
    Deny(CALL(iopl),                                 "devices"),
    Deny(CALL(ioperm),                               "devices"),
    Deny(CALL(reboot),                               "the machine"),
    Deny(CALL(acct),                                 "the machine"),
    Deny(CALL(settimeofday),                         "the machine's clock"),
    Deny(CALL(clock_settime),                        "the machine's clock"),

    // Sockets: of the kinds that a network namespace holds. AF_VSOCK reaches the machine below.
    {CALL(socket), SystemCallRule::kDenyAbove, 0, 0, AF_NETLINK, "other kinds of sockets"},
    DenyFamily(CALL(socket), AF_AX25,                "other kinds of sockets"),
    DenyFamily(CALL(socket), AF_IPX,                 "other kinds of sockets"),
    DenyFamily(CALL(socket), AF_APPLETALK,           "other kinds of sockets"),
    DenyFamily(CALL(socket), AF_NETROM,              "other kinds of sockets"),
    DenyFamily(CALL(socket), AF_BRIDGE,              "other kinds of sockets"),
    DenyFamily(CALL(socket), AF_ATMPVC,              "other kinds of sockets"),
    DenyFamily(CALL(socket), AF_X25,                 "other kinds of sockets"),
    DenyFamily(CALL(socket), AF_ROSE,                "other kinds of sockets"),
    DenyFamily(CALL(socket), AF_DECnet,              "other kinds of sockets"),
    DenyFamily(CALL(socket), AF_NETBEUI,             "other kinds of sockets"),
    DenyFamily(CALL(socket), AF_SECURITY,            "other kinds of sockets"),
    DenyFamily(CALL(socket), AF_KEY,                 "other kinds of sockets"),
    {CALL(socketpair), SystemCallRule::kDenyOther, 0, 0, AF_UNIX, "other kinds of sockets"},

    // And of their protocols TCP, UDP and ICMP, which is what the gateway carries, and asking for
    // interfaces, routes and sockets. Others have the kernel load modules that nobody here needs.
    DenyProtocolAbove(CALL(socket), AF_INET,  IPPROTO_ICMPV6, "other protocols"),
    DenyProtocol(CALL(socket), AF_INET,  IPPROTO_DCCP, "other protocols"),
    DenyType(CALL(socket), AF_INET,  SOCK_SEQPACKET, "other protocols"),
    DenyType(CALL(socket), AF_INET,  SOCK_DCCP,      "other protocols"),
    DenyProtocolAbove(CALL(socket), AF_INET6, IPPROTO_ICMPV6, "other protocols"),
    DenyProtocol(CALL(socket), AF_INET6, IPPROTO_DCCP, "other protocols"),
    DenyType(CALL(socket), AF_INET6, SOCK_SEQPACKET, "other protocols"),
    DenyType(CALL(socket), AF_INET6, SOCK_DCCP,      "other protocols"),
    DenyProtocolAbove(CALL(socket), AF_NETLINK, NETLINK_SOCK_DIAG, "other parts of the kernel"),
    DenyProtocol(CALL(socket), AF_NETLINK, NETLINK_UNUSED,   "other parts of the kernel"),
    DenyProtocol(CALL(socket), AF_NETLINK, NETLINK_USERSOCK, "other parts of the kernel"),
    DenyProtocol(CALL(socket), AF_NETLINK, NETLINK_FIREWALL, "other parts of the kernel"),
};
// clang-format on

#undef CALL

using Filter = std::unique_ptr<void, void (*)(scmp_filter_ctx)>;

// Bits of a mode that no file may have.
constexpr uint64_t kGivesRights[] = {S_ISUID, S_ISGID};
constexpr uint64_t kTemporary = O_TMPFILE & ~O_DIRECTORY;

int AddRule(const Filter& filter, const SystemCallRule& rule) {
  const auto add_if = [&](uint32_t action, std::initializer_list<scmp_arg_cmp> when) {
    return seccomp_rule_add_array(filter.get(), action, rule.call,
                                  static_cast<unsigned>(when.size()), std::data(when));
  };
  const auto deny_if = [&](std::initializer_list<scmp_arg_cmp> when) {
    return add_if(SCMP_ACT_ERRNO(EPERM), when);
  };
  switch (rule.verdict) {
    case SystemCallRule::kDeny:
      return seccomp_rule_add_array(filter.get(), SCMP_ACT_ERRNO(EPERM), rule.call, 0, nullptr);
    case SystemCallRule::kNotThere:
      return seccomp_rule_add_array(filter.get(), SCMP_ACT_ERRNO(ENOSYS), rule.call, 0, nullptr);
    case SystemCallRule::kDenyEqual:
      return deny_if({{rule.argument, SCMP_CMP_MASKED_EQ, rule.mask, rule.value}});
    case SystemCallRule::kPretendEqual: {
      const scmp_arg_cmp is_equal = {rule.argument, SCMP_CMP_MASKED_EQ, rule.mask, rule.value};
      if (rule.of_family == 0) return add_if(SCMP_ACT_ERRNO(0), {is_equal});
      const scmp_arg_cmp is_given = {static_cast<unsigned>(rule.of_family), SCMP_CMP_NE, 0, 0};
      return add_if(SCMP_ACT_ERRNO(0), {is_equal, is_given});
    }
    case SystemCallRule::kDenyMode:
      for (const uint64_t right : kGivesRights) {
        const int error = deny_if({{rule.argument, SCMP_CMP_MASKED_EQ, right, right}});
        if (error != 0) return error;
      }
      return 0;
    case SystemCallRule::kDenyMade:
      for (const uint64_t right : kGivesRights) {
        // Without one of these the mode is whatever was left in the register.
        for (const uint64_t flag : {uint64_t{O_CREAT}, kTemporary}) {
          const int error = deny_if({{rule.argument - 1U, SCMP_CMP_MASKED_EQ, flag, flag},
                                     {rule.argument, SCMP_CMP_MASKED_EQ, right, right}});
          if (error != 0) return error;
        }
      }
      return 0;
    case SystemCallRule::kDenyAbove:
      return add_if(SCMP_ACT_ERRNO(EAFNOSUPPORT), {{rule.argument, SCMP_CMP_GT, rule.value, 0}});
    case SystemCallRule::kDenyFamily:
      return add_if(SCMP_ACT_ERRNO(EAFNOSUPPORT), {{rule.argument, SCMP_CMP_EQ, rule.value, 0}});
    case SystemCallRule::kDenyOther:
      return add_if(SCMP_ACT_ERRNO(EAFNOSUPPORT), {{rule.argument, SCMP_CMP_NE, rule.value, 0}});
    case SystemCallRule::kDenyProtocol:
      return add_if(SCMP_ACT_ERRNO(EPROTONOSUPPORT),
                    {{0, SCMP_CMP_MASKED_EQ, kLow32, rule.value},
                     {rule.argument, SCMP_CMP_MASKED_EQ, rule.mask, rule.of_family}});
    case SystemCallRule::kDenyProtocolAbove:
      return add_if(SCMP_ACT_ERRNO(EPROTONOSUPPORT),
                    {{0, SCMP_CMP_MASKED_EQ, kLow32, rule.value},
                     {rule.argument, SCMP_CMP_GT, rule.of_family, 0}});
  }
  return -EINVAL;
}

}  // namespace

Status WriteSystemCallFilter(int fd) {
  const Filter filter(seccomp_init(SCMP_ACT_ALLOW), seccomp_release);
  if (!filter) return Fail(ErrorCode::kSystem, "seccomp_init(SCMP_ACT_ALLOW)");
  if (const int error =
          seccomp_attr_set(filter.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
      error != 0) {
    return SystemError("seccomp_attr_set(SCMP_FLTATR_ACT_BADARCH)", -error);
  }
  // A search instead of a list: most calls are in no rule and would pass all of them.
  if (const int error = seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2); error != 0) {
    return SystemError("seccomp_attr_set(SCMP_FLTATR_CTL_OPTIMIZE)", -error);
  }
  for (const SystemCallRule& rule : kRules) {
    if (const int error = AddRule(filter, rule); error != 0) {
      return SystemError(std::string("seccomp_rule_add(") + rule.name + ")", -error);
    }
  }
  if (const int error = seccomp_export_bpf(filter.get(), fd); error != 0) {
    return SystemError("seccomp_export_bpf", -error);
  }
  return {};
}

}  // namespace cordon::backend::native
