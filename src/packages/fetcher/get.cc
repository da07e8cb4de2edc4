#include "packages/fetcher/get.h"

#include <curl/curl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

#include "base/write_all.h"
#include "packages/fetcher/lock_in.h"
#include "packages/fetcher/say.h"

namespace cordon::packages {
namespace {

constexpr int kConnection = 3;
constexpr int kBody = 4;
// Less than this is a server that holds up who waits.
constexpr long kLeastBytesPerSecond = 1024;
constexpr long kMostSlowSeconds = 30;
constexpr long kMostConnectSeconds = 30;  // with TLS
constexpr long kMostSeconds = 600;
constexpr curl_off_t kProgressBytes = 256 * 1024;
constexpr size_t kLongestLocation = 4096;

struct Transfer {
  CURL* handle = nullptr;
  curl_off_t most = 0;
  curl_off_t done = 0;
  curl_off_t told = 0;
  bool is_too_large = false;
  std::string location;
};

size_t TakeBody(char* bytes, size_t /*one*/, size_t size, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  curl_off_t announced = -1;
  (void)curl_easy_getinfo(transfer.handle, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announced);
  transfer.done += static_cast<curl_off_t>(size);
  // What is announced is believed only where it is too much; what comes is counted.
  if (announced > transfer.most || transfer.done > transfer.most) {
    transfer.is_too_large = true;
    transfer.done = std::max(transfer.done, announced);
    return 0;
  }
  if (!WriteAll(kBody, std::string_view(bytes, size), "body")) return 0;
  if (transfer.done - transfer.told >= kProgressBytes) {
    transfer.told = transfer.done;
    Say("progress " + std::to_string(transfer.done) + " " + std::to_string(announced));
  }
  return size;
}

size_t TakeHeader(char* bytes, size_t /*one*/, size_t size, void* self) {
  auto& transfer = *static_cast<Transfer*>(self);
  std::string_view line(bytes, size);
  constexpr std::string_view kName = "location:";
  const bool is_location = std::ranges::equal(
      line.substr(0, kName.size()), kName,
      [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b; });
  if (!is_location) return size;
  line.remove_prefix(kName.size());
  constexpr std::string_view kBlank = " \t\r\n";
  const size_t begin = std::min(line.find_first_not_of(kBlank), line.size());
  const size_t end = std::max(line.find_last_not_of(kBlank) + 1, begin);
  transfer.location = line.substr(begin, std::min(end - begin, kLongestLocation));
  // A zero or another control character must not become the end of our own line.
  const bool is_text =
      std::ranges::all_of(transfer.location, [](char c) { return c > ' ' && c <= '~'; });
  if (!is_text) transfer.location = "?";
  return size;
}

curl_socket_t UseConnection(void* /*self*/, curlsocktype /*purpose*/, curl_sockaddr* /*address*/) {
  return kConnection;
}
int IsConnected(void* /*self*/, curl_socket_t /*socket*/, curlsocktype /*purpose*/) {
  return CURL_SOCKOPT_ALREADY_CONNECTED;
}
int KeepConnection(void* /*self*/, curl_socket_t /*socket*/) {
  return 0;
}

std::string ReadFile(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// The name of the URL is never looked up: this entry answers for it.
curl_slist* KnownAddress(CURLU* url) {
  char* host = nullptr;
  char* port = nullptr;
  if (curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
      curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK) {
    EndWith(PackageCode::kFetch, "invalid URL");
  }
  return curl_slist_append(nullptr, (std::string(host) + ":" + port + ":127.0.0.1").c_str());
}

void SetOptions(CURL* handle, CURLU* url, Transfer* transfer, curl_blob* authorities,
                char* reason) {
  curl_easy_setopt(handle, CURLOPT_CURLU, url);
  curl_easy_setopt(handle, CURLOPT_RESOLVE, KnownAddress(url));
  curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "https");
  curl_easy_setopt(handle, CURLOPT_PROXY, "");
  curl_easy_setopt(handle, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(handle, CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_1_1});
  curl_easy_setopt(handle, CURLOPT_SSLVERSION, long{CURL_SSLVERSION_TLSv1_2});
  curl_easy_setopt(handle, CURLOPT_SSL_VERIFYPEER, 1L);
  curl_easy_setopt(handle, CURLOPT_SSL_VERIFYHOST, 2L);
  curl_easy_setopt(handle, CURLOPT_CAINFO_BLOB, authorities);
  curl_easy_setopt(handle, CURLOPT_USERAGENT, "cordon");
  curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, kLeastBytesPerSecond);
  curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, kMostSlowSeconds);
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT, kMostConnectSeconds);
  curl_easy_setopt(handle, CURLOPT_TIMEOUT, kMostSeconds);
  curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, reason);
  curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, TakeBody);
  curl_easy_setopt(handle, CURLOPT_WRITEDATA, transfer);
  curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, TakeHeader);
  curl_easy_setopt(handle, CURLOPT_HEADERDATA, transfer);
  curl_easy_setopt(handle, CURLOPT_OPENSOCKETFUNCTION, UseConnection);
  curl_easy_setopt(handle, CURLOPT_SOCKOPTFUNCTION, IsConnected);
  curl_easy_setopt(handle, CURLOPT_CLOSESOCKETFUNCTION, KeepConnection);
}

}  // namespace

void Get(const char* url_text, uint64_t most, const char* ca_file) {
  constexpr uint64_t kBesides = 64 * 1024;
  if (const Status limited = LimitResources(most + kBesides); !limited) {
    EndWith(PackageCode::kFetch, limited.error().ToString());
  }
  std::string authorities = ReadFile(ca_file);
  if (authorities.empty()) {
    EndWith(PackageCode::kFetch, std::string("no certificates of authorities in ") + ca_file);
  }
  (void)curl_global_init(CURL_GLOBAL_DEFAULT);
  CURL* handle = curl_easy_init();
  CURLU* url = curl_url();
  if (handle == nullptr || url == nullptr ||
      curl_url_set(url, CURLUPART_URL, url_text, CURLU_PATH_AS_IS) != CURLUE_OK) {
    EndWith(PackageCode::kFetch, "invalid URL");
  }
  Transfer transfer;
  transfer.handle = handle;
  transfer.most = static_cast<curl_off_t>(most);
  curl_blob blob = {authorities.data(), authorities.size(), CURL_BLOB_NOCOPY};
  char reason[CURL_ERROR_SIZE] = {};
  SetOptions(handle, url, &transfer, &blob, reason);
  if (const Status locked = LockIn(); !locked) {
    EndWith(PackageCode::kFetch, "the fetcher cannot be locked in: " + locked.error().ToString());
  }
  const CURLcode done = curl_easy_perform(handle);
  if (transfer.is_too_large) EndWith(PackageCode::kTooLarge, std::to_string(transfer.done));
  if (done != CURLE_OK) {
    EndWith(PackageCode::kFetch, reason[0] != '\0' ? reason : curl_easy_strerror(done));
  }
  long status = 0;
  (void)curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
  if (!transfer.location.empty()) Say("location " + transfer.location);
  Say("status " + std::to_string(status) + " " + std::to_string(transfer.done));
  // The connection and the libraries end with the process.
  _exit(0);
}

}  // namespace cordon::packages
