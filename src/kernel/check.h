#ifndef CORDON_KERNEL_CHECK_H_
#define CORDON_KERNEL_CHECK_H_

#include <cstdint>

namespace cordon::vfs {
class MemoryFs;
}

namespace cordon::kernel {

// The violations that a check of the kernel finds, a line each.
class Report {
 public:
  Report(char* text, uint64_t size) : text_(text), left_(size) {
    if (size > 0) *text = 0;
  }

  __attribute__((format(printf, 2, 3))) void Add(const char* format, ...);
  // The file system writes its own lines behind.
  void AddFileSystem(vfs::MemoryFs& files);
  [[nodiscard]] int count() const { return count_; }

 private:
  char* text_;
  uint64_t left_;
  int count_ = 0;
};

}  // namespace cordon::kernel

#endif  // CORDON_KERNEL_CHECK_H_
