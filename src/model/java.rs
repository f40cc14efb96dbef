//! The command line of `java`, as its launcher reads it.

/// Options whose value is the next word. Source: java(1), and `IsClassPathOption`, `IsModuleOption` and `IsLauncherOption`
/// in the launcher's java.c.
pub const WITH_VALUE: [&str; 14] = [
    "-cp",
    "-classpath",
    "--class-path",
    "-p",
    "--module-path",
    "--upgrade-module-path",
    "--add-modules",
    "--limit-modules",
    "--add-exports",
    "--add-opens",
    "--add-reads",
    "--patch-module",
    "--enable-native-access",
    "--source",
];
