"""DeepLab-style segmentation on dilated convolutions."""
