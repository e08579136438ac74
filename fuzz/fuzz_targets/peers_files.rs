#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| queuemail::fuzzing::peers::files(data));
