#ifndef CORDON_CLIENT_FILE_ANSWERS_H_
#define CORDON_CLIENT_FILE_ANSWERS_H_

// What a sandbox asks about files, as calls of a file system of this program.

#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "cordon/file_system.h"
#include "live/client_file_words.h"

namespace cordon::client {

struct FileRequest {
  live::ClientFileRequestHead head = {};
  std::string path;
  std::string_view data;
};

class FileAnswers {
 public:
  FileAnswers(std::shared_ptr<FileSystem> files, bool is_writable)
      : files_(std::move(files)), is_writable_(is_writable) {}

  // A frame. What the file system throws is EIO.
  [[nodiscard]] std::string Answer(const FileRequest& request);

 private:
  struct Body {
    int64_t result = 0;
    std::string data;
  };
  [[nodiscard]] Result<Body> Do(const FileRequest& request);
  [[nodiscard]] Result<Body> Stat(const std::string& path);
  [[nodiscard]] Result<Body> List(const std::string& path);
  [[nodiscard]] Result<Body> Write(const FileRequest& request);
  [[nodiscard]] Result<Body> Create(const FileRequest& request);
  [[nodiscard]] Result<Body> Rename(const FileRequest& request);

  std::shared_ptr<FileSystem> files_;
  bool is_writable_;
  std::mutex lock_;  // one call at a time
};

}  // namespace cordon::client

#endif  // CORDON_CLIENT_FILE_ANSWERS_H_
