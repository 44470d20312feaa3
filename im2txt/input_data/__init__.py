"""What training and evaluation read: pairs, images, features."""
