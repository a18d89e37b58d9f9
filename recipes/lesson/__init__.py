"""The lesson that this project grew from, made right: a tour of dilated convolution in seven parts."""
