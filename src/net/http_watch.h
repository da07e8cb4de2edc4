#ifndef CORDON_NET_HTTP_WATCH_H_
#define CORDON_NET_HTTP_WATCH_H_

// Follows the requests of an HTTP/1 connection, to know which host each one asks for. Reads them
// more strictly than servers do: what one could read in two ways is an error.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace cordon::net {

// What a method or the name of a header may be.
[[nodiscard]] bool IsHttpToken(std::string_view text);
[[nodiscard]] bool EqualsIgnoringCase(std::string_view text, std::string_view lower);

class HttpWatch {
 public:
  // Whether a request may ask for this host.
  explicit HttpWatch(std::function<bool(const std::string&)> may_ask)
      : may_ask_(std::move(may_ask)) {}

  // `bytes` follow what was passed before. How many of them may go on to the server; the rest is to
  // be given again, with more behind it. After an error none may.
  [[nodiscard]] size_t Pass(std::string_view bytes);
  [[nodiscard]] const std::string& error() const { return error_; }  // empty if there is none

  // The host that the last request asked for.
  [[nodiscard]] const std::string& host() const { return host_; }

  static constexpr size_t kMaxHead = 65536;

 private:
  enum class Part { kHead, kBody, kChunkSize, kChunkEnd, kTrailer };

  // Each takes what it can from the beginning; 0 if it needs more.
  size_t TakeHead(std::string_view bytes);
  size_t TakeBody(std::string_view bytes);
  size_t TakeChunkSize(std::string_view bytes);
  size_t TakeChunkEnd(std::string_view bytes);
  size_t TakeTrailer(std::string_view bytes);
  [[nodiscard]] bool ReadHead(std::string_view head);
  [[nodiscard]] bool ReadTarget(std::string_view line, std::string* named_by_target);
  size_t Wrong(const char* what) {
    error_ = what;
    return 0;
  }
  bool Broken(const char* what) {
    error_ = what;
    return false;
  }

  std::function<bool(const std::string&)> may_ask_;
  Part part_ = Part::kHead;
  uint64_t left_ = 0;  // of a body or a chunk
  bool is_chunked_ = false;
  std::string host_;
  std::string error_;
};

}  // namespace cordon::net

#endif  // CORDON_NET_HTTP_WATCH_H_
