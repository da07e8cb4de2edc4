#ifndef CORDON_SHADOW_TRANSACTION_H_
#define CORDON_SHADOW_TRANSACTION_H_

// The part of a commit that writes: a journal, a staging directory, steps.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "shadow/changes.h"
#include "shadow/journal.h"
#include "shadow/store.h"

namespace cordon::shadow {

// A step with what it is made of.
struct PlannedStep {
  Step step;
  const Change* change = nullptr;
  std::optional<Stat> expected;  // the old node
  uint32_t uid = 0;              // who the new node belongs to
  uint32_t gid = 0;
};

using Checkpoint = std::function<void(const char* what)>;

class Transaction {
 public:
  Transaction(const Shadow& shadow, const Sides& sides, std::vector<PlannedStep> steps,
              Checkpoint checkpoint, OnPath on_path);

  // Either everything is done and `next_base`, called after the steps, is the shadow's base; or
  // nothing is.
  [[nodiscard]] Status Run(const std::function<Result<std::string>()>& next_base);

 private:
  [[nodiscard]] Status Prepare();
  void FillNumbers();
  [[nodiscard]] Status MakeStaging();
  [[nodiscard]] Status Stage(size_t index);
  [[nodiscard]] Status StageFile(size_t index);
  [[nodiscard]] Status TakeSteps();
  [[nodiscard]] Status Decide(const std::function<Result<std::string>()>& next_base);
  [[nodiscard]] Status WriteJournal(Phase phase);
  [[nodiscard]] Status Sync() const;
  void Reached(const char* what) const {
    if (checkpoint_) checkpoint_(what);
  }

  const Shadow& shadow_;
  const Sides& sides_;
  std::vector<PlannedStep> steps_;
  Checkpoint checkpoint_;
  OnPath on_path_;
  Journal journal_;
  OwnedFd staging_;
};

// What is left of a transaction, whether it failed a moment ago or its process was killed.
[[nodiscard]] Result<std::vector<std::string>> CleanUp(const Shadow& shadow, const Tree& workspace,
                                                       const Checkpoint& checkpoint);

}  // namespace cordon::shadow

#endif  // CORDON_SHADOW_TRANSACTION_H_
