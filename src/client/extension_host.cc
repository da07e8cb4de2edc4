#include "client/extension_host.h"

#include <exception>
#include <utility>

#include "client/answers.h"
#include "client/connection.h"
#include "rpc/base64.h"

namespace cordon::client {
namespace {

std::vector<std::string> ArgumentsOf(const Json& params) {
  std::vector<std::string> arguments;
  const Json texts = params.value("args", Json::array());
  const Json coded = params.value("argsBase64", Json::array());
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto exact = i < coded.size() && coded[i].is_string()
                           ? rpc::DecodeBase64(coded[i].get<std::string>())
                           : std::nullopt;
    arguments.push_back(exact ? *exact : texts[i].get<std::string>());
  }
  return arguments;
}

}  // namespace

ExtensionHost::Handlers ExtensionHost::Add(const std::string& sandbox,
                                           const std::vector<Extension>& extensions) {
  const std::scoped_lock guard(lock_);
  Handlers& handlers = served_[sandbox];
  Handlers before = handlers;
  for (const Extension& one : extensions) {
    handlers[one.name] = std::make_shared<const ExtensionHandler>(one.command);
  }
  return before;
}

void ExtensionHost::Set(const std::string& sandbox, Handlers handlers) {
  const std::scoped_lock guard(lock_);
  served_[sandbox] = std::move(handlers);
}

void ExtensionHost::Remove(const std::string& sandbox, const std::string& name) {
  const std::scoped_lock guard(lock_);
  const auto found = served_.find(sandbox);
  if (found != served_.end()) found->second.erase(name);
}

void ExtensionHost::Forget(const std::string& sandbox) {
  const std::scoped_lock guard(lock_);
  served_.erase(sandbox);
}

ExtensionHost::Forking::Forking(ExtensionHost& host) : host_(host) {
  const std::scoped_lock guard(host_.lock_);
  ++host_.forking_;
}

ExtensionHost::Forking::~Forking() {
  const std::scoped_lock guard(host_.lock_);
  --host_.forking_;
  host_.changed_.notify_all();
}

void ExtensionHost::Forking::Made(const std::string& from, const std::string& to) {
  const std::scoped_lock guard(host_.lock_);
  const auto found = host_.served_.find(from);
  if (found != host_.served_.end()) host_.served_[to] = found->second;
  host_.changed_.notify_all();
}

void ExtensionHost::Invoke(const std::string& id, const Json& params) {
  auto going = std::make_unique<Going>(id, params.value("sandboxId", ""), params.value("name", ""),
                                       ExtensionCall(connection_));
  ExtensionCall& call = going->call;
  call.sandbox_ = going->sandbox;
  call.id_ = id;
  call.args_ = ArgumentsOf(params);
  for (const auto& [name, value] : params.value("env", Json::object()).items()) {
    call.env_[name] = value.get<std::string>();
  }
  call.cwd_ = TextOf(params, "cwd");
  call.stop_ = going->stop.get_token();
  const std::scoped_lock guard(lock_);
  going_.remove_if([](const std::unique_ptr<Going>& one) {
    if (one->is_over) one->thread.join();
    return one->is_over.load();
  });
  Going& kept = *going_.emplace_back(std::move(going));
  kept.thread = std::thread([this, &kept] { Run(kept); });
}

void ExtensionHost::Run(Going& going) {
  const Result<int> status = StatusOf(going);
  Json answer = {{"jsonrpc", "2.0"}, {"id", going.id}};
  if (status) {
    answer["result"] = {{"exitCode", *status}};
  } else {
    answer["error"] = {{"code", 1}, {"message", status.error().ToString()}};
  }
  connection_.Answer(answer);
  going.is_over = true;
}

// A handler is somebody else's code: what it throws ends here.
Result<int> ExtensionHost::StatusOf(Going& going) {
  const std::shared_ptr<const ExtensionHandler> handler = Find(going);
  if (!handler || !*handler) return Fail(ErrorCode::kInvalid, "nobody serves it");
  try {
    return (*handler)(going.call);
  } catch (const std::exception& thrown) {
    return Fail(ErrorCode::kInvalid, thrown.what());
  } catch (...) {
    return Fail(ErrorCode::kInvalid, "something was thrown");
  }
}

std::shared_ptr<const ExtensionHandler> ExtensionHost::Find(const Going& going) {
  std::unique_lock guard(lock_);
  changed_.wait(guard, [&] {
    return served_.contains(going.sandbox) || forking_ == 0 || going.call.stop().stop_requested();
  });
  const auto sandbox = served_.find(going.sandbox);
  if (sandbox == served_.end()) return nullptr;
  const auto found = sandbox->second.find(going.name);
  return found == sandbox->second.end() ? nullptr : found->second;
}

void ExtensionHost::Cancel(const std::string& id) {
  StopThose([&](const Going& one) { return one.id == id; });
}

void ExtensionHost::Stop() {
  StopThose([](const Going&) { return true; });
}

void ExtensionHost::StopThose(const std::function<bool(const Going&)>& are_meant) {
  std::vector<std::stop_source> meant;
  {
    const std::scoped_lock guard(lock_);
    for (const auto& one : going_) {
      if (are_meant(*one)) meant.push_back(one->stop);
    }
  }
  // Callbacks of the handlers' may run here, and take locks.
  for (std::stop_source& one : meant) (void)one.request_stop();
  const std::scoped_lock guard(lock_);
  changed_.notify_all();
}

// After the reader has ended: nobody adds another.
void ExtensionHost::Join() {
  for (const auto& one : going_) one->thread.join();
  going_.clear();
}

}  // namespace cordon::client
