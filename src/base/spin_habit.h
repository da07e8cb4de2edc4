#ifndef CORDON_BASE_SPIN_HABIT_H_
#define CORDON_BASE_SPIN_HABIT_H_

#include <cstdint>

namespace cordon {

// Of a thread that looks for a moment before it sleeps: whether that has been worth it lately.
class SpinHabit {
 public:
  // A few times in vain, and it is tried seldom, once in so many times, until it helps again.
  constexpr explicit SpinHabit(uint32_t seldom = 64) : seldom_(seldom) {}
  [[nodiscard]] bool IsWorthIt() {
    if (misses_ < kMostMisses) return true;
    return ++skipped_ % seldom_ == 0;
  }
  void Note(bool helped) {
    if (helped) misses_ = 0;
    if (!helped && misses_ < kMostMisses) ++misses_;
  }

 private:
  static constexpr uint32_t kMostMisses = 4;
  uint32_t seldom_;
  uint32_t misses_ = 0;
  uint32_t skipped_ = 0;
};

}  // namespace cordon

#endif  // CORDON_BASE_SPIN_HABIT_H_
