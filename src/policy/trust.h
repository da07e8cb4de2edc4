#ifndef CORDON_POLICY_TRUST_H_
#define CORDON_POLICY_TRUST_H_

// What the user approved: contents of files, by path and SHA-256. A file that changes loses its
// approval; the same bytes at another path have none.

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "policy/surroundings.h"

namespace cordon::policy {

struct Approval {
  std::string path;     // of the file, without links
  std::string subject;  // "policy", or "hosts": the hosts that a package manager's file names
  std::string sha256;   // of the file's bytes, or of the hosts
  std::vector<std::string> what;  // what was approved, for people
};

class TrustStore {
 public:
  // No approvals if there is no file. An error if others than its owner could have written it.
  [[nodiscard]] static Result<TrustStore> Load(const Surroundings& around);

  [[nodiscard]] bool IsApproved(const std::string& path, const std::string& subject,
                                const std::string& sha256) const;
  [[nodiscard]] const std::vector<Approval>& approvals() const { return approvals_; }

  // One for each path and subject: the new one takes the old one's place.
  void Approve(Approval approval);
  // False if there was none.
  bool Revoke(const std::string& path);
  [[nodiscard]] Status Save() const;

 private:
  std::string file_;
  std::vector<Approval> approvals_;
};

// Nobody but its owner, who is this user or root, could have written it.
[[nodiscard]] Status CheckOwner(const std::string& path, uid_t uid);

// `path` with each folder that is missing on the way, for nobody else.
[[nodiscard]] Status MakeFolders(const std::string& path);

[[nodiscard]] std::string HashText(const std::string& text);

}  // namespace cordon::policy

#endif  // CORDON_POLICY_TRUST_H_
