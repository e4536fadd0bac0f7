from skymailing import create_app

app = create_app()
