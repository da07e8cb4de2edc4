#include "mcp/session.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <csignal>
#include <exception>
#include <utility>

#include "mcp/clean_text.h"
#include "mcp/sandbox_request.h"
#include "mcp/schema_check.h"

namespace cordon::mcp {
namespace {

using rpc::Json;

constexpr size_t kReadBytes = 64 * 1024;
constexpr size_t kMostLine = size_t{64} << 20;  // a state may be in it
// Whoever does not read gets no progress.
constexpr size_t kMostWaiting = 1 << 20;
constexpr const char* kVersions[] = {"2025-06-18", "2025-03-26", "2024-11-05"};
constexpr const char* kInstructions =
    "Sandboxes for shell commands. run_command runs bash in a sandbox that keeps its state from "
    "one "
    "command to the next; files live in the sandbox only. Programs in it have no network.";

Json ParseText(const char* text) {
  return Json::parse(text, nullptr, /*allow_exceptions=*/false);
}

}  // namespace

bool Session::Has(const Tool& tool) const {
  return tool.where == Tool::kAlways || !settings_.persistence_folder.empty();
}

Json Session::DescribeTools() const {
  Json tools = Json::array();
  for (const Tool& tool : Tools()) {
    if (!Has(tool)) continue;
    Json annotations = ParseText(tool.annotations);
    annotations["title"] = tool.title;
    tools.push_back({{"name", tool.name},
                     {"title", tool.title},
                     {"description", tool.description},
                     {"inputSchema", ParseText(tool.input)},
                     {"outputSchema", ParseText(tool.output)},
                     {"annotations", std::move(annotations)}});
  }
  return tools;
}

ToolCall::~ToolCall() {
  if (answered_) return;
  try {
    Fail("the request was not answered");
  } catch (...) {
    std::terminate();  // without memory for a line, nobody can be answered any more
  }
}

void ToolCall::Reply(const Json& structured) {
  if (std::exchange(answered_, true)) return;
  session.calls_.erase(id_);
  const std::string text = structured.dump(2, ' ', false, Json::error_handler_t::replace);
  session.Send(rpc::ResultMessage(id_, {{"content", {{{"type", "text"}, {"text", text}}}},
                                        {"structuredContent", structured},
                                        {"isError", false}}));
}

void ToolCall::Fail(const std::string& why) {
  if (std::exchange(answered_, true)) return;
  session.calls_.erase(id_);
  const std::string text =
      Renamed(CleanText(why), session.settings().persistence_folder, "(what is saved)");
  session.Send(rpc::ResultMessage(
      id_, {{"content", {{{"type", "text"}, {"text", text}}}}, {"isError", true}}));
}

void ToolCall::Progress(const std::string& message) {
  if (answered_ || !wants_progress() || session.outgoing_.size() > kMostWaiting) return;
  session.Send(rpc::NotificationMessage(
      "notifications/progress",
      {{"progressToken", progress_token_}, {"progress", ++progress_}, {"message", message}}));
}

Status Session::Serve(const rpc::ServerOptions& options, OwnedFd input, OwnedFd output) try {
  (void)signal(SIGPIPE, SIG_IGN);
  if (!settings_.state_folder.empty()) {
    Result<StateFolder> folder = StateFolder::Open(settings_.state_folder);
    if (!folder) return std::unexpected(folder.error());
    states_ = std::move(*folder);
  }
  if (!settings_.audit_file.empty()) {
    Result<AuditFile> file = AuditFile::Open(settings_.audit_file);
    if (!file) return std::unexpected(file.error());
    audit_ = std::move(*file);
  }
  Result<std::unique_ptr<DaemonLink>> daemon = DaemonLink::Start(loop_, options);
  if (!daemon) return std::unexpected(daemon.error());
  daemon_ = std::move(*daemon);
  daemon_->OnEnd([this] { loop_.stop(); });
  daemon_->OnAudit([this](const Json& event) {
    if (!audit_) return;
    // What is not told is not done: without its log nothing goes on.
    if (const Status added = audit_->Add(event); !added) {
      ended_ = added;
      loop_.stop();
    }
  });
  input_.emplace(loop_, input.release());
  output_.emplace(loop_, output.release());
  lines_.emplace(kMostLine);
  buffer_.resize(kReadBytes);
  asio::signal_set signals(loop_, SIGINT, SIGTERM, SIGHUP);
  signals.async_wait([this](const boost::system::error_code&, int) { loop_.stop(); });
  Read();
  loop_.run();
  // Nobody waits for an answer any more.
  output_.reset();
  daemon_.reset();
  return ended_;
} catch (const boost::system::system_error& error) {
  return ::cordon::Fail(
      ErrorCode::kInvalid,
      std::string("standard input and output must be pipes or sockets: ") + error.what());
}

void Session::Read() {
  input_->async_read_some(
      asio::buffer(buffer_), [this](const boost::system::error_code& error, size_t count) {
        if (error) return loop_.stop();
        lines_->Add({buffer_.data(), count});
        while (const auto line = lines_->Next()) {
          if (line->is_too_long) {
            Send(rpc::ErrorMessage(nullptr, {rpc::kParseError, "Request too large", {}}));
          } else {
            Take(line->text);
          }
        }
        Read();
      });
}

void Session::Send(rpc::Json message) {
  if (!output_) return;
  outgoing_ += rpc::Encode(std::move(message), rpc::Form::kLines);
  if (writing_.empty()) Write();
}

void Session::Write() {
  writing_ = std::exchange(outgoing_, {});
  asio::async_write(*output_, asio::buffer(writing_),
                    [this](const boost::system::error_code& error, size_t) {
                      if (error) return loop_.stop();
                      writing_.clear();
                      if (!outgoing_.empty()) Write();
                    });
}

void Session::Take(const std::string& line) {
  const rpc::Parsed parsed = rpc::ParseRequest(line);
  if (!parsed.request) return Send(rpc::ErrorMessage(parsed.id, parsed.error));
  const rpc::Request& request = *parsed.request;
  if (request.is_notification) {
    if (request.method == "notifications/cancelled") {
      Cancel(request.params.value("requestId", Json()));
    }
    return;
  }
  if (request.method == "initialize") return Initialize(request);
  if (request.method == "ping") return Send(rpc::ResultMessage(request.id, Json::object()));
  if (request.method == "tools/list") {
    return Send(rpc::ResultMessage(request.id, {{"tools", DescribeTools()}}));
  }
  if (request.method == "tools/call") return CallTool(request);
  Send(rpc::ErrorMessage(request.id,
                         {rpc::kMethodNotFound, "Method not found: " + request.method, {}}));
}

void Session::Initialize(const rpc::Request& request) {
  const Json wanted = request.params.value("protocolVersion", Json());
  const char* version = kVersions[0];
  for (const char* known : kVersions) {
    if (wanted == known) version = known;
  }
  Send(rpc::ResultMessage(request.id,
                          {{"protocolVersion", version},
                           {"capabilities", {{"tools", {{"listChanged", false}}}}},
                           {"serverInfo", {{"name", "cordon"}, {"version", "0.1"}}},
                           {"instructions", kInstructions + DescribeBounds(settings_)}}));
}

void Session::CallTool(const rpc::Request& request) {
  const Json name = request.params.value("name", Json());
  const auto refuse = [&](const std::string& why) {
    Send(rpc::ErrorMessage(request.id, {rpc::kInvalidParams, why, {}}));
  };
  const auto tool = std::ranges::find_if(
      Tools(), [&](const Tool& known) { return name == known.name && Has(known); });
  if (tool == Tools().end()) {
    return refuse("Unknown tool: " +
                  (name.is_string() ? name.get<std::string>().substr(0, 100) : ""));
  }
  Json arguments = request.params.value("arguments", Json::object());
  const std::string wrong = CheckAgainst(ParseText(tool->input), arguments);
  if (!wrong.empty())
    return refuse(std::string("Invalid arguments for tool ") + tool->name + ": " + wrong);
  if (calls_.contains(request.id)) return refuse("a request with this id is going on");
  const Json meta = request.params.value("_meta", Json::object());
  Json token = meta.is_object() ? meta.value("progressToken", Json()) : Json();
  if (!token.is_string() && !token.is_number_integer()) token = nullptr;
  const auto call =
      std::make_shared<ToolCall>(*this, request.id, std::move(arguments), std::move(token));
  calls_[request.id] = call;
  tool->handler(call);
}

// The client does not want to hear of it any more.
void Session::Cancel(const Json& id) {
  const auto found = calls_.find(id);
  if (found == calls_.end()) return;
  const ToolCallPtr call = found->second.lock();
  calls_.erase(found);
  if (!call) return;
  call->answered_ = true;
  if (call->running == 0) return;
  daemon_->Ask("cancel", {{"sandboxId", call->sandbox_id}, {"requestId", call->running}},
               [](const DaemonLink::Answer&) {});
}

}  // namespace cordon::mcp
