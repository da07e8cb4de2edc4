#ifndef CORDON_MCP_SESSION_H_
#define CORDON_MCP_SESSION_H_

// One client of the Model Context Protocol (revisions 2024-11-05 to 2025-06-18) on two descriptors.

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "mcp/audit_file.h"
#include "mcp/daemon_link.h"
#include "mcp/settings.h"
#include "mcp/state_folder.h"
#include "rpc/message.h"

namespace cordon::mcp {

class Session;
struct Tool;

// A call of a tool on its way to its answer. Answered once; whatever becomes of it.
class ToolCall {
 public:
  ToolCall(Session& asked, rpc::Json id, rpc::Json given, rpc::Json progress_token)
      : session(asked),
        arguments(std::move(given)),
        id_(std::move(id)),
        progress_token_(std::move(progress_token)) {}
  ToolCall(const ToolCall&) = delete;
  ToolCall& operator=(const ToolCall&) = delete;
  ~ToolCall();

  // Strings of guests in it are clean already.
  void Reply(const rpc::Json& structured);
  // The tool could not do it: the model reads why, as clean text that names no folder of the host.
  void Fail(const std::string& why);
  void Progress(const std::string& message);
  // Answered, or cancelled: nobody waits any more.
  [[nodiscard]] bool is_over() const { return answered_; }
  [[nodiscard]] bool wants_progress() const { return !progress_token_.is_null(); }

  Session& session;
  const rpc::Json arguments;
  // What runs for it, to be cancelled.
  int64_t running = 0;
  std::string sandbox_id;

 private:
  friend class Session;
  rpc::Json id_;
  rpc::Json progress_token_;
  int64_t progress_ = 0;
  bool answered_ = false;
};
using ToolCallPtr = std::shared_ptr<ToolCall>;

class Session {
 public:
  Session(asio::io_context& loop, Settings settings)
      : settings_(std::move(settings)), loop_(loop) {}

  // Until the client's end of `input` is closed.
  [[nodiscard]] Status Serve(const rpc::ServerOptions& options, OwnedFd input, OwnedFd output);

  [[nodiscard]] const Settings& settings() const { return settings_; }
  [[nodiscard]] DaemonLink& daemon() { return *daemon_; }
  [[nodiscard]] const std::optional<StateFolder>& states() const { return states_; }

  // Sandboxes that the client knows of. One whose call was cancelled is none, and is ended.
  std::set<std::string> sandboxes;
  // The sandbox of calls that name none. While it is made, those calls wait here.
  std::string default_sandbox;
  std::vector<std::function<void(const std::string& error)>> waiting_for_default;

 private:
  friend class ToolCall;
  void Read();
  void Write();
  void Send(rpc::Json message);
  void Take(const std::string& line);
  void Initialize(const rpc::Request& request);
  [[nodiscard]] bool Has(const Tool& tool) const;
  [[nodiscard]] rpc::Json DescribeTools() const;
  void CallTool(const rpc::Request& request);
  void Cancel(const rpc::Json& id);

  Settings settings_;
  asio::io_context& loop_;
  std::optional<StateFolder> states_;
  std::optional<AuditFile> audit_;
  Status ended_;
  std::unique_ptr<DaemonLink> daemon_;
  std::optional<asio::posix::stream_descriptor> input_, output_;
  std::string buffer_;
  std::optional<rpc::LineReader> lines_;
  std::string outgoing_, writing_;
  std::map<rpc::Json, std::weak_ptr<ToolCall>> calls_;
};

// One row of tools.def.
struct Tool {
  enum Where { kAlways, kWhereSaved };

  const char* name;
  void (*handler)(const ToolCallPtr& call);
  Where where;
  const char* title;
  const char* description;
  const char* annotations;
  const char* input;
  const char* output;
};
[[nodiscard]] std::span<const Tool> Tools();

}  // namespace cordon::mcp

#endif  // CORDON_MCP_SESSION_H_
