#ifndef CORDON_POLICY_PLAN_H_
#define CORDON_POLICY_PLAN_H_

// What a command may do, resolved: plain data that owns everything it names, complete and without
// reference to the files it was made from. A wall does exactly what it says or refuses; nothing
// but this object reaches a wall. It can be written as canonical JSON, whose SHA-256 is its name.
//
// Paths are absolute unless said otherwise, without `.`, `..` and doubled slashes. Sizes are bytes,
// times milliseconds; an optional limit that is empty is no limit.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "policy/host_rule.h"

namespace cordon::policy {

enum class Wall {
  kWasm,
  kNative,
  kContainer,
  kMicrovm,
  kBwrap,
  kNsjail,
  kSandboxExec,
  kJobobject,
  kNone,
};

// Who said so: decides what may be granted without asking, and is shown.
enum class Origin {
  kCordon,   // Cordon itself
  kMachine,  // programs and configuration of this machine
  kUser,     // the user's own policy, configuration and command line
  kProject,  // files of the project, which may be hostile
};

// --- what was decided, and why ---

struct PolicyFile {
  std::string path;
  std::string sha256;     // of its bytes
  std::string kind;       // "cordon.yaml", "sbox.yaml", "user's policy"
  bool approved = false;  // by the user, for these bytes
};

struct Decision {
  std::string profile;
  std::string profile_from;  // "rule install of cordon.yaml:12:3", "--profile", …
  std::string rule;          // empty if none matched
  std::string pattern;       // the one that matched
  std::string matched;       // the command as it was understood: "npm install"
  std::string role;          // "install", "run", "build" or empty
  std::string wall_from;     // why this wall
};

// --- files ---

enum class MountKind {
  kBind,         // `source` of the host
  kLink,         // a symbolic link with the text `source`
  kGenerated,    // a file that the wall writes: `name` is "users", "groups", "hosts" or "resolver"
  kCopy,         // a file in memory with what the file `source` of the host holds at the start
  kTmpfs,        // empty, in memory
  kProc,         // a fresh one, of the sandbox's own processes
  kDev,          // null, zero, full, random, urandom, tty, shm, pts and nothing else
  kMask,         // covers something that exists with something empty of the same type
  kPlaceholder,  // covers a path that does not exist, so that it cannot be made
};

// What `target` must be when the wall opens it; anything else refuses.
enum class NodeType { kAny, kFile, kDirectory };

// What is done where `source` does not exist.
enum class IfMissing {
  kRefuse,
  kSkip,           // there is nothing to show
  kMakeDirectory,  // with the user's rights, beneath `beneath`
  kStageFile,      // the command may make it; it is taken over to the host when the command ends
};

struct Mount {
  MountKind kind = MountKind::kBind;
  std::string name;    // of a cache or a mount that has one; "workspace", "program", …
  std::string source;  // of a bind; of a link, where it leads; of a placeholder, what it holds
  // If not empty, `source` is below it and is opened beneath it, component by component, without
  // following a link: what lies between belongs to whoever wrote the project.
  std::string beneath;
  std::string target;  // where the command sees it
  NodeType type = NodeType::kAny;
  bool read_only = true;
  bool pinned = false;  // its parents are mount points too, so that none can be renamed away
  IfMissing if_missing = IfMissing::kRefuse;
  std::optional<uint64_t> size_bytes;  // of a tmpfs
  std::string why;
  Origin origin = Origin::kCordon;
};

// Caches: a bind whose source Cordon made and owns.
// Secrets with a target are binds; those without are open descriptors.
struct SecretDescriptor {
  std::string name;
  std::string source;
  std::string variable;  // holds the descriptor's number
};

struct WorkspacePlan {
  std::string root;   // on the host
  std::string mount;  // where the command sees it
  bool writable = false;
  bool shadow = false;  // the command works on a copy-on-write view, which may be written
  // Of a shadow: what comes into being on the host while the command runs must not be seen.
  bool shadow_copy = false;
};

struct Lockfile {
  std::string path;    // relative to the workspace
  std::string sha256;  // empty if it is not there
};

// --- environment ---

struct Variable {
  std::string name;
  std::string value;
  bool is_secret = false;  // its value is never shown and not part of the plan's hash
  Origin origin = Origin::kCordon;
  std::string why;
};

// Of the host's variables, one that the command does not get although something named it, or that
// looks like a secret.
struct DeniedVariable {
  std::string name;
  std::string why;
};

// --- network ---

enum class NetworkMode {
  kOff,    // nothing but the sandbox's own loopback
  kList,   // what `allow` names, by name, address and port together
  kAll,    // everything but private and special-purpose addresses
  kNamed,  // the engine's network `name`
  kHost,   // the host's: only without a wall
};

struct HostGrant {
  HostRule rule;
  // The name may resolve to a private address or one of this machine's: somebody who may say so
  // named this very host. A metadata service or a link-local address is no name's.
  bool may_be_private = false;
  Origin origin = Origin::kCordon;
  std::string why;  // "registry in .npmrc:1"
};

struct PortGrant {
  uint16_t host_port = 0;  // on the host's loopback
  uint16_t port = 0;       // of the command
};

struct NetworkPlan {
  NetworkMode mode = NetworkMode::kOff;
  std::string name;
  std::vector<HostGrant> allow;
  std::vector<PortGrant> ports;
};

// --- limits and rights ---

struct LimitPlan {
  std::optional<uint64_t> memory_bytes;
  std::optional<uint64_t> processes;
  std::optional<double> cpus;
  std::optional<std::chrono::milliseconds> cpu_time;
  std::optional<std::chrono::milliseconds> wall_time;
  std::optional<uint64_t> output_bytes;  // of each stream
  std::optional<uint64_t> disk_bytes;
  std::optional<uint64_t> open_files;
};

struct RightsPlan {
  bool no_new_privileges = true;
  bool read_only_root = false;
  bool map_user = true;  // the command's user is the caller
  std::optional<uint32_t> uid;
  std::optional<uint32_t> gid;
  std::vector<std::string> capabilities_added;    // names without CAP_
  std::vector<std::string> capabilities_dropped;  // beyond what the wall drops; "ALL"
};

struct ImagePlan {
  std::string engine;     // "podman", "docker"; empty if any
  std::string reference;  // with its digest where there is one
  std::string build_file;
  std::string tag;
  std::string pull = "missing";
  bool verify_signature = false;
  bool is_pinned = false;
  bool reuse = false;
  std::string container_name;
};

// Of the user's policy; otherwise the first of the search path.
struct WallProgram {
  std::string name;  // "bwrap", "podman", "docker"
  std::string path;
};

struct PreRun {
  std::vector<std::string> argv;
  bool on_host = false;
  Origin origin = Origin::kProject;
};

// --- what holds, and what does not ---

struct Guarantee {
  std::string name;  // "no other files", …
  std::string text;
};

// Something that was asked for and is not in this plan.
struct Withheld {
  std::string what;   // "mount /etc at /host, writable"
  std::string place;  // where it was asked for
  std::string why;
};

struct Plan {
  Wall wall = Wall::kNative;
  std::vector<std::string> argv;
  std::string program;    // of the host, where the wall runs the host's programs
  std::string directory;  // where the command starts, as it sees it
  Decision decision;
  std::vector<PolicyFile> files;
  WorkspacePlan workspace;
  std::vector<Mount> mounts;  // in the order in which they are made
  std::vector<SecretDescriptor> secrets;
  std::vector<Variable> environment;  // sorted by name
  std::vector<DeniedVariable> denied;
  NetworkPlan network;
  LimitPlan limits;
  RightsPlan rights;
  std::optional<ImagePlan> image;  // of the container wall
  std::vector<WallProgram> wall_programs;
  std::vector<Lockfile> lockfiles;
  std::vector<PreRun> pre_run;
  std::vector<Guarantee> guarantees;
  std::vector<Withheld> withheld;
  // Why no wall may execute this plan; empty if one may. Part of the plan: it cannot be dropped.
  std::vector<Error> refusals;
  std::vector<std::string> notes;
  std::vector<std::string> hints;  // what may be the reason if the command fails
};

[[nodiscard]] const char* WallName(Wall wall);
[[nodiscard]] const char* OriginName(Origin origin);

// Canonical: keys sorted, no blanks. Values of secret variables are not in it.
[[nodiscard]] std::string CanonicalJson(const Plan& plan);
// 64 hexadecimal digits: the SHA-256 of that.
[[nodiscard]] std::string PlanHash(const Plan& plan);

}  // namespace cordon::policy

#endif  // CORDON_POLICY_PLAN_H_
