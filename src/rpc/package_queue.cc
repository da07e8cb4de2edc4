#include "rpc/package_queue.h"

#include <utility>

namespace cordon::rpc {
namespace {

constexpr size_t kMostWaiting = 16;

}  // namespace

void Errand::GiveUp() {
  is_given_up_ = true;
  if (const auto kill = std::exchange(kill_, nullptr)) kill();
  if (const auto tell = std::exchange(on_given_up_, nullptr)) tell();
}

bool PackageQueue::Add(const ErrandPtr& errand, Task task) {
  if (waiting_.size() >= kMostWaiting) return false;
  Watch(errand);
  waiting_.push_back({errand, std::move(task)});
  if (!is_busy_) RunNext();
  return true;
}

void PackageQueue::RunNext() {
  is_busy_ = !waiting_.empty();
  if (!is_busy_) return;
  const Waiting next = std::move(waiting_.front());
  waiting_.pop_front();
  next.task([self = shared_from_this()] { self->RunNext(); });
}

int64_t PackageQueue::GiveUp(const Which& which) {
  // Whoever is told may ask for something else.
  std::vector<ErrandPtr> given_up;
  std::erase_if(watched_, [&](const std::weak_ptr<Errand>& one) {
    const ErrandPtr errand = one.lock();
    if (!errand) return true;
    if (errand->is_committed_ || !which(errand->asker_)) return false;
    given_up.push_back(errand);
    return true;
  });
  std::erase_if(waiting_, [&](const Waiting& one) {
    return !one.errand->is_committed_ && which(one.errand->asker_);
  });
  for (const ErrandPtr& errand : given_up) errand->GiveUp();
  return static_cast<int64_t>(given_up.size());
}

}  // namespace cordon::rpc
