#ifndef CORDON_CLIENT_FILE_REQUESTS_H_
#define CORDON_CLIENT_FILE_REQUESTS_H_

#include <cstddef>
#include <optional>
#include <string>

#include "client/file_answers.h"

namespace cordon::client {

// What comes over a connection. Whoever reads on in a file asks again sooner than a thread is woken
// up: so the next request is looked for a moment, as long as that helps, and then waited for.
class FileRequests {
 public:
  explicit FileRequests(int socket) : socket_(socket) {}
  // Nothing: it has ended, or says what is no request. What is given stays until the next call.
  [[nodiscard]] std::optional<FileRequest> Next();

 private:
  [[nodiscard]] bool Fill(size_t size);
  [[nodiscard]] bool Receive();
  // As many as came; 0: none are there yet; -1: the end.
  [[nodiscard]] ssize_t Try();
  [[nodiscard]] ssize_t Look();

  int socket_;
  std::string buffer_;
  size_t at_ = 0;
  int misses_ = 0, skipped_ = 0;
};

}  // namespace cordon::client

#endif  // CORDON_CLIENT_FILE_REQUESTS_H_
