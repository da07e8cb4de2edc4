#include "cli/pkg_command.h"

#include <cstdio>
#include <memory>
#include <string>

#include "backend/end.h"
#include "cli/command_line.h"
#include "cli/complain.h"
#include "cli/programs.h"
#include "packages/build_index.h"
#include "packages/index.h"

namespace cordon::cli {
namespace {

Status Build(const packages::IndexRequest& request) {
  const Result<Programs> programs = Programs::Find();
  if (!programs) return std::unexpected(programs.error());
  const auto built = packages::BuildIndex({programs->fetcher, {}}, request);
  if (!built) return std::unexpected(built.error());
  (void)printf("%s/%s: %zu packages, %llu bytes\n", request.folder.c_str(), packages::kIndexFile,
               built->packages, static_cast<unsigned long long>(built->bytes));
  if (!built->public_key.empty()) {
    (void)printf("signed; indexKey: %s\n", built->public_key.c_str());
  }
  return {};
}

}  // namespace

void AddPkgCommand(Command& app, std::function<int()>* chosen) {
  auto request = std::make_shared<packages::IndexRequest>();
  Command command = app.AddCommand("pkg", "packages for sandboxes that live");
  command.NeedCommand();
  Command build = command.AddCommand("build-index",
                                     "pkg-index.json of a folder with modules, for any web server");
  build.AddOption("folder", request->folder, "has NAME.wasm of each package").Required();
  build.AddOption("--key", request->key_file,
                  "sign it with this Ed25519 key (openssl genpkey -algorithm ed25519)");
  command.Footer("cordon pkg build-index ./modules --key key.pem");
  build.OnCall([request, chosen] {
    *chosen = [request] {
      const Status built = Build(*request);
      if (built) return 0;
      return Refuse(built.error());
    };
  });
}

}  // namespace cordon::cli
