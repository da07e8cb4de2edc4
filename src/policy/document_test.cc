#include "policy/document.h"

#include <gtest/gtest.h>

#include "policy/starter.h"

namespace cordon::policy {
namespace {

struct Read {
  Document document;
  std::vector<std::string> errors;
};

Read ReadText(const std::string& text, FileKind kind = FileKind::kCordon) {
  std::vector<Error> errors;
  Read read = {ReadDocument(text, "f", kind, &errors), {}};
  for (const Error& error : errors) read.errors.push_back(error.ToString());
  return read;
}

using Texts = std::vector<std::string>;

TEST(Document, FieldsHaveTheirDefaultsAndPlaces) {
  const Read read = ReadText("version: 1\nworkspace:\n  writable: true\n");
  EXPECT_EQ(read.errors, Texts());
  const Workspace& workspace = read.document.workspace.fields;
  EXPECT_TRUE(workspace.writable.value);
  EXPECT_EQ(workspace.writable.mark.line, 3);
  EXPECT_EQ(workspace.root.value, ".");
  EXPECT_FALSE(workspace.root.given);
  EXPECT_EQ(read.document.limits.fields.memory.value, uint64_t{4} << 30);
  EXPECT_TRUE(read.document.runtime.fields.rootless.value);
}

TEST(Document, AllErrorsAtOnceWithTheirPlaces) {
  const Read read = ReadText(
      "version: 1\n"
      "worksapce: {}\n"
      "runtime: {backend: lxc, rootless: yes}\n"
      "workspace:\n"
      "  writable_paths: [../x, /etc]\n"
      "profiles:\n"
      "  a: {network: off, network_allow: [x.example, 'a b']}\n");
  const std::string inner =
      "writable_paths: expected a path inside the workspace: relative, without .. and *, got ";
  const std::string host =
      "network_allow: expected a host, *.domain, an address or a range, with :port or without, "
      "got ";
  EXPECT_EQ(read.errors, Texts({"f:2:1: unknown key 'worksapce'; is 'workspace' meant?",
                                "f:3:20: backend: expected auto, podman or docker, got 'lxc'",
                                "f:3:35: rootless: expected true or false, got 'yes'",
                                "f:5:20: " + inner + "'../x'", "f:5:26: " + inner + "'/etc'",
                                "f:7:36: network_allow lists hosts, but network is off",
                                "f:7:48: " + host + "'a b'"}));
}

TEST(Document, AKeyOfAnotherFileIsNamedAsSuch) {
  EXPECT_EQ(ReadText("version: 1\nlimits: {memory: 1GiB}\nworkspace: {mount: /w}\nprofiles: {a: "
                     "{mode: sandbox}}\n",
                     FileKind::kSbox)
                .errors,
            Texts({"f:2:1: 'limits' belongs into cordon.yaml, not here"}));
  EXPECT_EQ(ReadText("version: 1\ngrants: {}\n").errors,
            Texts({"f:2:1: 'grants' belongs into your own policy, not here"}));
}

TEST(Document, VersionOneAndNoOther) {
  EXPECT_EQ(ReadText("").errors, Texts({"f:1:1: 'version' is missing (version: 1)"}));
  EXPECT_EQ(ReadText("version: 2\n").errors,
            Texts({"f:1:10: unsupported config version 2; this is what version 1 describes"}));
}

TEST(Document, ContradictionsAreErrors) {
  struct Case {
    const char* text;
    const char* message;
  };
  const Case cases[] = {
      {"environment: {pass_through: [A], deny: [A]}",
       "'A' is in pass_through and in deny (line 2)"},
      {"environment: {pass_through: [A], set: {A: x}}",
       "'A' is in set and in pass_through (line 2)"},
      {"image: {ref: a, preset: node}", "image: exactly one of 'ref', 'build' and 'preset'"},
      {"image: {build: ./D, digest: "
       "'sha256:0000000000000000000000000000000000000000000000000000000000000000'}",
       "an image that is built has no digest"},
      {"identity: {uid: 5}", "identity: 'uid' and 'gid' belong together"},
      {"mounts: [{source: a, target: /x}, {type: tmpfs, target: /x/}]",
       "target /x/ is taken in line 2"},
      {"mounts: [{target: /x}]", "mounts: 'source' is missing"},
      {"caches: [{name: a, target: /x}, {name: a, target: /y}]", "two caches are called 'a'"},
      {"secrets: [{source: a, target: /x, when_profiles: [none]}]", "unknown profile 'none'"},
      {"secrets: [{source: a}]", "secrets: either 'target' or 'descriptor'"},
      {"dispatch: {r: {match: [x], profile: none}}", "unknown profile 'none'"},
      {"dispatch: {r: {profile: default}}\nprofiles: {default: {}}", "r: 'match' is missing"},
      {"profiles: {a: {mode: host, ports: [80]}}", "a command on the host publishes no ports"},
      {"profiles: {a: {mode: host, wall: native}}", "mode is host, but there is a wall"},
      {"profiles: {a: {capabilities: {drop: [CHOWN], add: [CAP_CHOWN]}}}",
       "capability CHOWN is added and dropped"},
      {"profiles: {a: {require_lockfile: true}}",
       "require_lockfile, but lockfile_files names none"},
      {"workspace: {exclude_paths: ['*.{pem,key}']}",
       "exclude_paths: expected a pattern for paths inside the workspace: relative, without .., "
       "\\, "
       "{a,b} and ! at its beginning, got '*.{pem,key}'"},
      {"workspace: {exclude_paths: ['!a']}",
       "exclude_paths: expected a pattern for paths inside the workspace: relative, without .., "
       "\\, "
       "{a,b} and ! at its beginning, got '!a'"},
      {"runtime: {container_name: --x}",
       "container_name: expected a name of letters, digits, . _ -, {profile} and "
       "{workspace_hash}, got '--x'"},
      {"workspace: {writable_paths: [a/b], exclude_paths: [a]}",
       "'a/b' is writable and excluded (line 2)"},
      {"wall: native\nruntime: {backend: podman}",
       "runtime.backend is podman, an engine of containers, but wall is native"},
      {"package_manager: {}", nullptr},
      {"package_manager: {pre_run: [x]}", "package_manager: 'name' is missing"},
  };
  for (const Case& wanted : cases) {
    const Read read = ReadText(std::string("version: 1\n") + wanted.text + "\n");
    if (wanted.message == nullptr) {
      EXPECT_EQ(read.errors.size(), 1U) << wanted.text;
      continue;
    }
    ASSERT_EQ(read.errors.size(), 1U) << wanted.text;
    EXPECT_TRUE(read.errors[0].ends_with(std::string(": ") + wanted.message)) << read.errors[0];
  }
}

TEST(Document, CapabilitiesInItsThreeForms) {
  const Read read = ReadText(
      "version: 1\n"
      "profiles:\n"
      "  a: {capabilities: drop-all}\n"
      "  b: {capabilities: [net_bind_service]}\n"
      "  c: {capabilities: {drop: ALL, add: [CAP_CHOWN]}}\n");
  ASSERT_EQ(read.errors, Texts());
  const auto& profiles = read.document.profiles.items;
  EXPECT_EQ(profiles[0].fields.capabilities.drop[0].value, "ALL");
  EXPECT_EQ(profiles[1].fields.capabilities.add[0].value, "NET_BIND_SERVICE");
  EXPECT_EQ(profiles[2].fields.capabilities.drop[0].value, "ALL");
  EXPECT_EQ(profiles[2].fields.capabilities.add[0].value, "CHOWN");
}

TEST(Document, InstallByRoleOrName) {
  const Read read = ReadText(
      "version: 1\nprofiles: {npm-install: {}, deps: {}, x: {role: install}, install: {role: "
      "run}}\n");
  const auto& profiles = read.document.profiles.items;
  EXPECT_TRUE(IsInstall(profiles[0].name, profiles[0].fields));
  EXPECT_TRUE(IsInstall(profiles[1].name, profiles[1].fields));
  EXPECT_TRUE(IsInstall(profiles[2].name, profiles[2].fields));
  EXPECT_FALSE(IsInstall(profiles[3].name, profiles[3].fields));
}

TEST(Starter, EveryPresetIsReadWithoutErrors) {
  for (const std::string& preset : PresetNames()) {
    EXPECT_EQ(ReadText(ProjectStarterText({.preset = preset})).errors, Texts()) << preset;
  }
  EXPECT_EQ(ReadText(UserStarterText(), FileKind::kUser).errors, Texts());
}

TEST(Starter, ChoicesAreWhatIsRead) {
  for (const char* preset : {"npm", "generic"}) {
    const Read read = ReadText(ProjectStarterText({.preset = preset,
                                                   .image = "its@sha256:1",
                                                   .hosts = {"*.example.org", "b.example:8443"},
                                                   .writable_paths = {"dist", "a b"},
                                                   .exclude_paths = {"*.pem"},
                                                   .variables = {"TERM"},
                                                   .memory = "2GiB",
                                                   .wall_time = "10m"}));
    EXPECT_EQ(read.errors, Texts());
    const Document& document = read.document;
    EXPECT_EQ(document.image.fields.ref.value, "its@sha256:1");
    EXPECT_EQ(document.workspace.fields.writable_paths.value.size(), 2U);
    EXPECT_EQ(document.workspace.fields.writable_paths.value[1].value, "a b");
    EXPECT_EQ(document.limits.fields.memory.value, uint64_t{2} << 30);
    ASSERT_FALSE(document.profiles.items.empty());
    EXPECT_EQ(document.profiles.items[0].fields.network.value, "on");
    EXPECT_EQ(document.profiles.items[0].fields.network_allow.value.size(), 2U);
  }
}

// What it explains is what is read: without the comment signs no key is unknown.
TEST(Starter, TheReferenceHasNoUnknownKey) {
  for (const FileKind kind : {FileKind::kCordon, FileKind::kUser}) {
    const std::string text =
        kind == FileKind::kUser ? UserStarterText() : ProjectStarterText({.preset = "npm"});
    std::string reference = "version: 1\n";
    bool is_reference = false;
    for (size_t at = 0; at < text.size();) {
      const size_t end = text.find('\n', at);
      const std::string line = text.substr(at, end - at);
      at = end + 1;
      if (is_reference && line.starts_with("# ")) reference += line.substr(2) + "\n";
      is_reference = is_reference || line.starts_with("# Everything");
    }
    const Read read = ReadText(reference, kind);
    EXPECT_GT(reference.size(), 1000U);
    for (const std::string& error : read.errors) {
      EXPECT_EQ(error.find("unknown key"), std::string::npos) << error;
      EXPECT_EQ(error.find("not YAML"), std::string::npos) << error;
    }
  }
}

}  // namespace
}  // namespace cordon::policy
