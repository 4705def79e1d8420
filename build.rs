//! How to link the module.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // Tarantool 3.3 and later close the Lua state at exit, and with it the library, under the
    // engine's running thread and the handlers that `fork` calls: it must stay where it is.
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() == Ok("linux") {
        println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
    }
}
