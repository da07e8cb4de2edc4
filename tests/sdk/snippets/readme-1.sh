pip install cordon-sandbox
