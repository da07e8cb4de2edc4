#ifndef CORDON_BACKEND_HOST_FACILITIES_H_
#define CORDON_BACKEND_HOST_FACILITIES_H_

// What the host has for walls, each tried and not guessed.

#include <string>
#include <vector>

namespace cordon::backend {

struct Facility {
  std::string name;    // "pid namespace", "landlock", "docker"
  bool there = false;  // usable by this user, now
  std::string detail;  // how, or the call that failed and why
};

// In the order in which they are shown. The caller has one thread.
[[nodiscard]] std::vector<Facility> ProbeHost();
// Only these, and none that this build does not know.
[[nodiscard]] std::vector<Facility> ProbeHost(const std::vector<std::string>& names);

}  // namespace cordon::backend

#endif  // CORDON_BACKEND_HOST_FACILITIES_H_
