//! Descriptor sets from the text of a file, for tests.

use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};

/// One file, by its text.
pub(crate) struct OneFile(pub(crate) &'static str);

impl FileResolver for OneFile {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match name {
            "test.proto" => File::from_source(name, self.0),
            _ => Err(protox::Error::file_not_found(name)),
        }
    }
}

/// The encoded set of a file and its imports.
pub(crate) fn set(source: &'static str) -> Vec<u8> {
    let mut files = ChainFileResolver::new();
    files.add(OneFile(source));
    files.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(files);
    compiler.include_imports(true).include_source_info(true).open_file("test.proto").unwrap();
    compiler.encode_file_descriptor_set()
}
