#ifndef CORDON_KERNEL_PROC_FILES_H_
#define CORDON_KERNEL_PROC_FILES_H_

// The files of /proc that have contents: which there are, and who writes them.

#include <cstdint>
#include <span>
#include <string_view>

#include "kernel/process.h"

namespace cordon::kernel {

// Writes into memory of fixed size; what does not fit is left out.
class TextWriter {
 public:
  TextWriter(char* text, uint32_t size) : text_(text), left_(size), start_(text) {}
  __attribute__((format(printf, 2, 3))) void Add(const char* format, ...);
  void AddBytes(const char* bytes, uint32_t count);
  [[nodiscard]] uint32_t size() const { return static_cast<uint32_t>(text_ - start_); }

 private:
  char* text_;
  uint32_t left_;
  char* start_;
};

// The directories that are not of a process.
enum ProcDirectory : uint32_t { kProcRoot, kProcSys, kProcSysKernel, kProcSysKernelRandom };

// Writers run under Kernel::table_lock.
struct SystemFile {
  ProcDirectory directory;
  std::string_view name;
  void (*write)(TextWriter& out);
};
struct ProcessFile {
  std::string_view name;
  void (*write)(const Process& process, TextWriter& out);
};

std::span<const SystemFile> SystemFiles();
std::span<const ProcessFile> ProcessFiles();

}  // namespace cordon::kernel

#endif  // CORDON_KERNEL_PROC_FILES_H_
